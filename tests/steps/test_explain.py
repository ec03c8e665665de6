"""explain: why an image was asked about, or why not; each number recomputed from the files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfal_cli.system.files import locked
from dfal_cli.tables import read_scores
from dfal_cli.tables.embeddings import read_embeddings, write_embeddings
from dfal_cli.tables.vectors import unit_length
from tests.conftest import Ended, dfal, draw_folder, write

EMBEDDED = ("--embeddings", "e.parquet")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 images of two classes with embeddings; 8 are labelled, one is unusable, two are a test set, 5 are asked."""
    root = draw_folder(tmp_path_factory.mktemp("explain"))
    images = sorted(path.name for path in (root / "images").iterdir())
    generator = np.random.default_rng(1)
    vectors = generator.normal(size=(40, 6)) + 1.5 * np.eye(6)[np.arange(40) % 2]
    write_embeddings(root / "e.parquet", [(images, vectors.astype(np.float32))], {})
    rows = (root / "oracle.csv").read_text().splitlines()
    write(root / "labels.csv", *rows[:9], "008.png,__skip__")
    write(root / "test.csv", "image", "009.png", "010.png")
    return root


@pytest.fixture
def house(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same as the working directory, with a scores file and lists by two strategies."""
    monkeypatch.chdir(made)
    if not Path("q.csv").exists():
        known = ("--labels", "labels.csv", "--exclude", "test.csv")
        commands: Sequence[Sequence[object]] = (
            ("train", *EMBEDDED, "--labels", "labels.csv", "--out", "m.safetensors"),
            ("score", *EMBEDDED, "--checkpoint", "m.safetensors", *known, "--out", "s.parquet"),
            ("select", "--scores", "s.parquet", *known, "--strategy", "dfal", "--count", 5, "--out", "q.csv"),
            ("select", "--scores", "s.parquet", *known, "--strategy", "coverage", "--count", 5, "--out", "c.csv"),
        )
        for command in commands:
            ended = dfal(*command)
            assert ended.code == 0, ended.stderr
    return made


def explain(image: str, *further: object, queries: str = "q.csv") -> Ended:
    return dfal("explain", image, "--queries", queries, *further)


def queries(file: str = "q.csv") -> list[str]:
    return list(pd.read_csv(file, dtype=str)["image"])


def margins() -> "pd.Series[float]":
    return read_scores(Path("s.parquet")).table.set_index("image")["margin"].sort_values(kind="stable")


def test_a_query_is_explained_by_its_rank_its_margin_and_what_is_usual(house: Path) -> None:
    image = queries()[2]
    ended = explain(image, "--json")
    assert ended.code == 0, ended.stderr
    facts = ended.json
    assert (facts["asked"], facts["query"]["rank"], facts["query"]["count"]) == (True, "3", 5)
    assert facts["strategy"] == "dfal"
    place = facts["places"]["margin"]
    assert place["value"] == pytest.approx(margins()[image])
    assert (place["smaller"], place["known"]) == (2, len(margins()))
    assert place["median"] == pytest.approx(float(margins().median()))
    said = explain(image).stdout
    assert said.splitlines()[:2] == [image, "asked about: rank 3 of 5 in q.csv"]
    assert "between dark and light" in said
    assert "in embedding space" in said


def test_the_nearest_labelled_images_are_the_nearest_ones(house: Path) -> None:
    image = queries()[0]
    file = read_embeddings(Path("e.parquet"))
    vectors = dict(zip(file.images, unit_length(file.vectors), strict=True))
    labels = pd.read_csv("labels.csv", dtype=str).set_index("image")["label"].drop("008.png")
    distances = {other: np.linalg.norm(vectors[other] - vectors[image]) for other in labels.index}
    found = explain(image, "--json").json["nearest_labelled"]
    assert [each["image"] for each in found] == sorted(distances, key=distances.__getitem__)[:5]
    assert [each["label"] for each in found] == [labels[each["image"]] for each in found]
    assert [each["distance"] for each in found] == pytest.approx([distances[each["image"]] for each in found])


def test_the_images_that_the_queries_stand_for_are_those_nearest_to_them(house: Path) -> None:
    file = read_embeddings(Path("e.parquet"))
    vectors = dict(zip(file.images, unit_length(file.vectors), strict=True))
    centres = [*queries("c.csv"), *(f"{number:03d}.png" for number in range(8))]
    pool = list(margins().index)
    nearest = [min(centres, key=lambda centre: np.linalg.norm(vectors[centre] - vectors[image])) for image in pool]
    for image in queries("c.csv"):
        share = explain(image, "--json", queries="c.csv").json["share"]
        assert share == {"images": nearest.count(image), "pool": len(pool)}


def test_an_image_with_a_larger_margin_is_told_its_rank_and_the_nearest_query(house: Path) -> None:
    image = margins().index[11]
    ended = explain(image, "--json")
    facts = ended.json
    assert (facts["asked"], facts["rank_would_be"]) == (False, [12, len(margins())])
    assert "others come first; it would be number 12 of 29" in facts["verdict"]
    assert facts["nearest_query"]["image"] in queries()


def test_an_image_that_coverage_left_out_is_told_which_query_is_nearest(house: Path) -> None:
    image = next(each for each in margins().index if each not in queries("c.csv"))
    said = explain(image, queries="c.csv").stdout
    assert "coverage preferred others" in said
    assert "nearest image of the list: " in said


@pytest.mark.parametrize(
    ("image", "why"),
    [
        ("001.png", "it is labelled light in labels.csv"),
        ("008.png", "it is marked __skip__ in labels.csv"),
        ("009.png", "it is excluded by test.csv"),
    ],
)
def test_an_image_outside_the_pool_is_told_why(house: Path, image: str, why: str) -> None:
    assert f"not asked about in q.csv: {why}" in explain(image).stdout


def test_answers_and_labels_given_since_are_told(house: Path, tmp_path: Path) -> None:
    image = queries()[0]
    answered = pd.read_csv("q.csv", dtype=str, keep_default_na=False)
    answered["label"] = ["dark", "", "", "", ""]
    answered.to_csv(tmp_path / "q.csv", index=False)
    write(tmp_path / "new.csv", "image,label", f"{image},dark")
    said = explain(
        image, "--scores", "s.parquet", "--labels", tmp_path / "new.csv", queries=str(tmp_path / "q.csv")
    ).stdout
    assert "; the answer is dark" in said
    assert "labelled since: dark" in said


def test_without_a_record_the_options_name_the_files(house: Path, tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_bytes(Path("q.csv").read_bytes())
    image = queries()[0]
    alone = dfal("explain", image, "--queries", tmp_path / "q.csv", "--json").json
    assert (alone["asked"], alone["is_scored"], alone["nearest_labelled"]) == (True, None, [])
    named = dfal(
        "explain", image, "--queries", tmp_path / "q.csv", "--scores", "s.parquet", "--labels", "labels.csv", "--json"
    )
    assert len(named.json["nearest_labelled"]) == 5, "the scores name the embeddings"


def test_the_page_shows_the_image_and_its_neighbours(house: Path, tmp_path: Path) -> None:
    image, page = queries()[0], tmp_path / "why.html"
    ended = explain(image, "--images", "images", "--page", page)
    assert ended.code == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == str(page)
    html = page.read_text(encoding="utf-8")
    assert html.count("<img ") == 6
    assert "asked about: rank 1 of 5" in html
    assert explain(image, "--images", "images", "--page", page).code == 0, "its own page may be written again"
    write(page, "<p>mine</p>")
    refused = explain(image, "--images", "images", "--page", page)
    assert (refused.code, "was not written by `dfal explain`" in refused.stderr) == (2, True)


def test_the_page_of_a_network_shows_the_twin(trained: Path, tmp_path: Path) -> None:
    scores, page = tmp_path / "s.parquet", tmp_path / "why.html"
    known = ("--images", trained / "images", "--labels", trained / "labels.csv")
    scored = dfal("score", *known, "--checkpoint", trained / "model.safetensors", "--out", scores, "--twins", 3,
                  "--nearest", 3, "--device", "cpu")  # fmt: skip
    assert scored.code == 0, scored.stderr
    assert dfal("select", "--scores", scores, "--count", 2, "--out", tmp_path / "q.csv").code == 0
    image = pd.read_csv(tmp_path / "q.csv", dtype=str)["image"][0]
    ended = dfal("explain", image, "--queries", tmp_path / "q.csv", "--page", page)
    assert ended.code == 0, ended.stderr
    assert "in pixel space" in ended.stdout
    assert "twin of " in page.read_text(encoding="utf-8")


def test_an_image_whose_margin_was_not_computed_is_told_so(house: Path, tmp_path: Path) -> None:
    image, scores = margins().index[20], tmp_path / "s.csv"
    known = ("--labels", "labels.csv", "--exclude", "test.csv")
    assert dfal("score", *EMBEDDED, "--checkpoint", "m.safetensors", *known, "--out", scores).code == 0
    table = pd.read_csv(scores, dtype=str, keep_default_na=False).set_index("image")
    table.loc[image, ["outcome", "margin", "crossing_class", "iterations"]] = ["skipped", "", "", ""]
    table.to_csv(scores)
    assert "cannot be among the smallest (--nearest)" in explain(image, "--scores", scores).stdout


def test_a_control_image_is_told_that_it_was_drawn_at_random(house: Path) -> None:
    made = dfal(
        "select", "--scores", "s.parquet", "--strategy", "dfal", "--count", 8, "--control", 0.25, "--out", "k.csv"
    )
    assert made.code == 0, made.stderr
    table = pd.read_csv("k.csv", dtype=str, keep_default_na=False).set_index("image")["control"]
    for image, mark in table.items():
        assert ("drawn at random" in explain(str(image), queries="k.csv").stdout) == (mark == "1")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("011.pgn", "--queries", "q.csv"), 3, "did you mean 011.png?"),
        (("011.png",), 2, "name the list with --queries, or the scores with --scores"),
        (("011.png", "--queries", "none.csv"), 2, "none.csv: no such file"),
        (("011.png", "--queries", "q.csv", "--page", "why.txt"), 2, "--page must end in .html"),
        (("--queries", "q.csv"), 2, "IMAGE"),
    ],
)
def test_mistakes_are_explained(house: Path, arguments: Sequence[object], code: int, message: str) -> None:
    ended = dfal("explain", *arguments)
    assert (ended.code, message in ended.stderr, "Traceback" in ended.stderr) == (code, True, False), ended.stderr


def test_a_page_that_is_being_written_is_left_alone(house: Path, tmp_path: Path) -> None:
    with locked(tmp_path / "why.html"):
        ended = explain(queries()[0], "--page", tmp_path / "why.html")
    assert (ended.code, "is being written by" in ended.stderr) == (75, True), ended.stderr
