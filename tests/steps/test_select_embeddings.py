"""select with embeddings: the first list before anything is trained, and later lists by scores of embeddings."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfal_cli.models.head_file import save_head
from dfal_cli.strategies import STRATEGIES
from dfal_cli.tables.embeddings import write_embeddings
from tests.conftest import Ended, dfal, draw_folder, write, write_margins
from tests.page import Page

CLUSTERS = ["right", "left", "up"]
"""Of images 000 to 009, 010 to 015 and 016 to 019."""
DIRECTIONS = np.array([[1, 0, 0.01], [-1, 0, 0.01], [0, 1, 0.01]], np.float32)
SIZES = [10, 6, 4]
IMAGES = [f"{number:03d}.png" for number in range(20)]


def embeddings() -> np.ndarray:
    around = np.repeat(DIRECTIONS, SIZES, axis=0)
    return 5 * (around + 0.03 * np.random.default_rng(0).standard_normal(around.shape).astype(np.float32))


@pytest.fixture
def project(in_tmp: Path) -> Path:
    """A folder with e.parquet, which another program made, where the test runs."""
    write_embeddings(in_tmp / "e.parquet", [(IMAGES, embeddings())], {})
    return in_tmp


def first(*arguments: object, embeddings: object = "e.parquet") -> Ended:
    return dfal("select", "--embeddings", embeddings, "--out", "q.csv", *arguments)


def later(*arguments: object) -> Ended:
    return dfal("select", "--scores", "s.parquet", "--out", "q.csv", *arguments)


def picked() -> list[str]:
    return pd.read_csv("q.csv", dtype=str)["image"].tolist()


def clusters(images: list[str]) -> list[str]:
    return [CLUSTERS[int(np.searchsorted(np.cumsum(SIZES), int(image[:3]), side="right"))] for image in images]


def score(*arguments: object) -> None:
    """Make s.parquet, by a head whose boundary between two of its classes runs between right and left."""
    save_head(
        Path("head.safetensors"), np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0]]), np.zeros(3),
        classes=("right", "left", "up"), embeddings={}, backbone=None, extra_metadata={},
    )  # fmt: skip
    command = ("score", "--embeddings", "e.parquet", "--checkpoint", "head.safetensors", "--out", "s.parquet")
    assert dfal(*command, *arguments).code == 0


def test_the_first_list_names_one_image_of_each_cluster(project: Path) -> None:
    ended = first("--count", 3, "--json")
    assert ended.code == 0, ended.stderr
    assert clusters(picked()) == ["right", "left", "up"]
    assert ended.json["strategy"] == "typical"
    assert ended.json["counts"] == {
        "pool": 20, "labelled": 0, "excluded": 0, "queries": 3, "without_twin": 3, "gone": 0,
    }  # fmt: skip
    assert list(pd.read_csv("q.csv")) == ["rank", "image", "label", "margin", "twin"]


@pytest.mark.parametrize("strategy", [name for name, entry in STRATEGIES.items() if not entry.needs_network])
def test_strategies_that_need_no_network_choose_a_first_list(project: Path, strategy: str) -> None:
    assert first("--count", 20, "--strategy", strategy).code == 0
    assert sorted(picked()) == IMAGES


@pytest.mark.parametrize("strategy", ["dfal", "badge", "entropy"])
def test_a_strategy_that_needs_a_network_is_refused_with_those_that_do_not(project: Path, strategy: str) -> None:
    ended = first("--count", 3, "--strategy", strategy)
    assert ended.code == 2
    assert "requires --scores; otherwise use one of coverage, typical, core-set, random\n" in ended.stderr
    assert not Path("q.csv").exists()


def test_a_strategy_on_embeddings_is_refused_on_a_mere_folder(project: Path) -> None:
    draw_folder(project, each=2)
    ended = dfal("select", "--images", "images", "--strategy", "typical", "--count", "3", "--out", "q.csv")
    assert (
        ended.code,
        "--strategy typical: requires --embeddings or --scores; otherwise use --strategy random\n" in ended.stderr,
    ) == (2, True)


def test_predictions_are_refused_without_scores(project: Path) -> None:
    assert "--with-predictions: requires --scores" in first("--count", 3, "--with-predictions").stderr


def test_clusters_with_a_label_or_a_list_still_being_answered_are_not_asked_about(project: Path) -> None:
    write(project / "labels.csv", "image,label", "003.png,right")
    write(project / "asked.csv", "rank,image,label", "1,017.png,up", "2,018.png,")
    ended = first("--count", 1, "--labels", "labels.csv", "--exclude", "asked.csv", "--json")
    assert clusters(picked()) == ["left"]
    assert (ended.json["counts"]["labelled"], ended.json["counts"]["excluded"]) == (1, 2)


def test_a_test_set_is_left_out_but_the_images_like_it_are_asked_about(project: Path) -> None:
    write(project / "test.csv", "image,label", "000.png,right", "010.png,left", "016.png,up")
    first("--count", 3, "--exclude", "test.csv")
    assert clusters(picked()) == ["right", "left", "up"]
    assert not set(picked()) & {"000.png", "010.png", "016.png"}


def test_one_of_several_identical_images_is_asked_about_even_at_random(project: Path) -> None:
    same = np.repeat(embeddings()[[0, 12]], 10, axis=0)
    write_embeddings(project / "same.parquet", [(IMAGES, same)], {})
    for seed in range(5):
        first("--count", 3, "--strategy", "random", "--seed", seed, "--force", embeddings="same.parquet")
        assert set(picked()[:2]) == {"000.png", "010.png"}
        assert picked()[2] == "001.png"


def test_deleted_images_are_left_out_if_the_image_root_is_known(project: Path) -> None:
    draw_folder(project, each=10)
    Path("images/011.png").unlink()
    ended = first("--count", 20, "--images", "images", "--json")
    assert "011.png" not in picked()
    assert (ended.json["counts"]["queries"], ended.json["counts"]["gone"]) == (19, 1)
    assert not any("deleted" in warning for warning in ended.json["warnings"])


def test_an_unknown_image_root_is_a_warning_and_no_preview_can_be_made(project: Path) -> None:
    ended = first("--count", 3, "--json")
    assert any("e.parquet: does not say where its images are" in warning for warning in ended.json["warnings"])
    refused = first("--count", 3, "--preview", "p.html")
    assert (refused.code, "set the image root with --images" in refused.stderr) == (2, True)
    assert not Path("p.html").exists()


def test_the_image_root_is_that_of_dfal_embed_relative_to_the_embeddings(project: Path) -> None:
    draw_folder(project / "data", each=10)
    made = {"backbone": "lite0", "image_root": "data/images", "follow_links": False}
    write_embeddings(project / "made.parquet", [(IMAGES, embeddings())], made)
    ended = first("--count", 3, "--preview", "p.html", "--json", embeddings="made.parquet")
    assert ended.json["warnings"] == []
    assert Page(Path("p.html")).text.count("Each image represents the images similar to it") == 1


def test_the_same_list_is_up_to_date_and_one_from_other_embeddings_is_not_overwritten(project: Path) -> None:
    first("--count", 3)
    assert first("--count", 3, "--json").json["status"] == "up to date"
    write_embeddings(project / "e.parquet", [(IMAGES, -embeddings()[::-1])], {})
    ended = first("--count", 3)
    assert (ended.code, "exists, and was made from other --embeddings" in ended.stderr) == (2, True)


@pytest.mark.parametrize("strategy", ["coverage", "core-set", "typical", "dfal-diverse"])
def test_later_lists_find_the_embeddings_by_the_scores(project: Path, strategy: str) -> None:
    score()
    write(project / "labels.csv", "image,label", "000.png,right", "010.png,left")
    ended = later("--count", 2, "--strategy", strategy, "--labels", "labels.csv", "--json")
    assert ended.code == 0, ended.stderr
    if STRATEGIES[strategy].labelled:
        assert "up" in clusters(picked())
    assert [text for text in ended.json["warnings"] if "where its images" not in text] == []


def test_later_lists_are_by_coverage_unless_a_strategy_is_named(project: Path) -> None:
    score()
    assert later("--count", 2, "--json").json["strategy"] == "coverage"
    assert later("--count", 2, "--strategy", "dfal", "--force", "--json").json["strategy"] == "dfal"


def test_badge_needs_the_probabilities_only(project: Path) -> None:
    score()
    ended = later("--count", 2, "--strategy", "badge")
    assert "s.parquet has no probabilities; score with --measure probabilities\n" in ended.stderr
    score("--measure", "probabilities", "--force")
    assert later("--count", 2, "--strategy", "badge").code == 0


def test_the_chain_can_move_to_another_folder(project: Path) -> None:
    score()
    moved = project / "moved"
    moved.mkdir()
    for name in ("e.parquet", "s.parquet"):
        Path(name).rename(moved / name)
    command = ("select", "--scores", moved / "s.parquet", "--out", "q.csv", "--count", 2)
    assert dfal(*command, "--strategy", "core-set").code == 0


def test_without_the_embeddings_only_strategies_that_need_them_are_refused(project: Path) -> None:
    score()
    Path("e.parquet").rename("elsewhere.parquet")
    ended = later("--count", 2, "--strategy", "coverage")
    assert ended.code == 2
    assert "e.parquet, from which s.parquet was made, does not exist; name the embeddings with" in ended.stderr
    assert later("--count", 2, "--strategy", "coverage", "--embeddings", "elsewhere.parquet").code == 0
    Path("q.csv").unlink()
    assert later("--count", 2, "--strategy", "entropy").code == 0


def test_embeddings_that_changed_since_are_a_warning(project: Path) -> None:
    score()
    write_embeddings(project / "e.parquet", [(IMAGES, 2 * embeddings())], {})
    ended = later("--count", 2, "--strategy", "typical", "--labels", write_labels(), "--json")
    assert any("e.parquet: has changed since s.parquet was made" in warning for warning in ended.json["warnings"])


def test_keeping_away_from_labels_that_are_not_named_is_a_warning(project: Path) -> None:
    score()
    warnings = later("--count", 2, "--strategy", "coverage", "--json").json["warnings"]
    assert any(
        "coverage avoids images similar to labelled ones; name the labels files with --labels" in text
        for text in warnings
    )


def test_the_smallest_margins_of_identical_images_are_asked_about_once(project: Path) -> None:
    vectors = embeddings()
    vectors[4:8] = [0.01, 0, 5]  # close to the boundary of right and left
    write_embeddings(project / "e.parquet", [(IMAGES, vectors)], {})
    score()
    later("--count", 2, "--strategy", "dfal")
    assert picked()[0] == "004.png"
    assert picked()[1] not in ("005.png", "006.png", "007.png")


def test_embeddings_serve_scores_of_images_too(project: Path) -> None:
    draw_folder(project, each=10)
    write_margins(project / "s.parquet", project / "images", dict.fromkeys(IMAGES, 0.5))
    assert "has no embedding; score with --measure embedding" in later("--count", 2, "--strategy", "core-set").stderr
    labels = ("--labels", write_labels())
    ended = later("--count", 2, "--strategy", "core-set", "--embeddings", "e.parquet", *labels)
    assert ended.code == 0, ended.stderr
    assert json.loads(Path("q.csv.meta.json").read_text())["parts"]["embeddings"]
    assert clusters(picked())[0] == "up"


def test_images_without_an_embedding_are_listed_last(project: Path) -> None:
    score()
    write_embeddings(project / "some.parquet", [(IMAGES[2:], embeddings()[2:])], {})
    ended = later("--count", 20, "--strategy", "coverage", "--embeddings", "some.parquet", "--json")
    assert picked()[-2:] == ["000.png", "001.png"]
    assert any("has no embedding of 2 of 20 images" in warning for warning in ended.json["warnings"])
    write_embeddings(project / "none.parquet", [(["x.png"], embeddings()[:1])], {})
    ended = later("--count", 20, "--strategy", "coverage", "--embeddings", "none.parquet", "--force")
    assert (ended.code, "none.parquet: has none of the images" in ended.stderr) == (3, True)


def test_names_with_a_folder_too_many_are_told_apart_from_missing_images(project: Path) -> None:
    draw_folder(project, each=10)
    score()
    write_embeddings(project / "other.parquet", [([f"images\\{name}" for name in IMAGES], embeddings())], {})
    said = r"they match if 'images\' is removed from the names in other.parquet"
    for ended in (
        later("--count", 2, "--strategy", "coverage", "--embeddings", "other.parquet"),
        first("--count", 2, "--images", "images", embeddings="other.parquet"),
    ):
        assert (ended.code, said in ended.stderr) == (3, True), ended.stderr


def write_labels() -> str:
    write(Path("labels.csv"), "image,label", "000.png,right", "010.png,left")
    return "labels.csv"
