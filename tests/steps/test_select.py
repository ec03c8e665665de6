"""select: the first list and the later ones, and what keeps a person's answers safe."""

import json
import os
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from tests.conftest import Ended, dfal, draw_folder, write, write_margins

MARGINS = {"000.png": 0.4, "001.png": None, "002.png": 0.1, "003.png": 0.2, "004.png": 0.1, "005.png": None}


@pytest.fixture
def house(in_tmp: Path) -> Path:
    """images/ with eight images, scores.parquet for six of them; the test runs there."""
    draw_folder(in_tmp, each=4)
    write_margins(in_tmp / "scores.parquet", in_tmp / "images", MARGINS)
    return in_tmp


def select(*arguments: object, out: str = "q.csv") -> Ended:
    return dfal("select", "--scores", "scores.parquet", "--out", out, *arguments)


def first(*arguments: object, out: str = "q.csv") -> Ended:
    return dfal("select", "--images", "images", "--strategy", "random", "--out", out, *arguments)


def rows(path: str = "q.csv") -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def answer(path: str, *labels: str) -> str:
    """Fill the first labels in, as a person would; returns the file's text."""
    table = rows(path)
    table.loc[: len(labels) - 1, "label"] = list(labels)
    table.to_csv(path, index=False)
    return Path(path).read_text()


def test_the_first_list_is_random_images_with_empty_labels(house: Path) -> None:
    ended = first("--count", 5)
    assert (ended.code, ended.stdout) == (0, "q.csv\n")
    assert list(rows().columns) == ["rank", "image", "label", "margin", "twin"]
    assert rows()["rank"].tolist() == ["1", "2", "3", "4", "5"]
    assert rows()["image"].is_unique
    assert set(rows()["image"]) <= {path.name for path in (house / "images").iterdir()}
    assert set(rows()[["label", "margin", "twin"]].to_numpy().ravel()) == {""}


def test_the_seed_decides_a_first_list(house: Path) -> None:
    for out, seed in (("a.csv", 1), ("b.csv", 1), ("c.csv", 2)):
        first("--count", 5, "--seed", seed, out=out)
    assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes() != Path("c.csv").read_bytes()


def test_a_first_list_has_images_behind_links_out_of_the_root_only_with_follow_links(house: Path) -> None:
    (house / "images").rename(house / "store")
    (house / "images").mkdir()
    for image in (house / "store").iterdir():
        (house / "images" / image.name).symlink_to(f"../store/{image.name}")
    assert first("--count", 8).code == 3
    ended = first("--count", 8, "--follow-links", "--json")
    assert (ended.code, ended.json["counts"]["queries"], ended.json["warnings"]) == (0, 8, [])


def test_the_smallest_margins_come_first_ties_by_path_and_unknown_ones_last(house: Path) -> None:
    ended = select("--count", 6)
    assert rows()["image"].tolist() == ["002.png", "004.png", "003.png", "000.png", "001.png", "005.png"]
    assert rows()["margin"].tolist() == ["0.1", "0.1", "0.2", "0.4", "", ""]
    assert "2 without a known margin, listed last" in ended.stderr


def test_scores_in_csv_give_the_same_list(house: Path) -> None:
    write_margins(house / "scores.csv", house / "images", MARGINS)
    select("--count", 4)
    dfal("select", "--scores", "scores.csv", "--count", 4, "--out", "p.csv")
    assert Path("p.csv").read_bytes() == Path("q.csv").read_bytes()


def test_a_count_above_the_pool_gives_the_pool_and_says_so(house: Path) -> None:
    for ended, size in ((select("--count", 50, "--json"), 6), (first("--count", 50, "--json", out="r.csv"), 8)):
        assert ended.code == 0
        assert ended.json["counts"]["queries"] == size
        assert any(f"only {size} images" in warning for warning in ended.json["warnings"])


def test_labelled_and_excluded_images_are_not_selected(house: Path) -> None:
    write(house / "labels.csv", "image,label", "002.png,dark", "004.png,__skip__", "003.png,")
    write(house / "test.csv", "image", "000.png")
    pool = ("--labels", "labels.csv", "--exclude", "test.csv", "--count", 50)
    select(*pool)
    assert rows()["image"].tolist() == ["003.png", "001.png", "005.png"]
    first(*pool, out="r.csv")
    assert sorted(rows("r.csv")["image"]) == ["001.png", "003.png", "005.png", "006.png", "007.png"]


def test_images_that_were_left_out_before_scoring_are_counted_as_excluded_too(house: Path) -> None:
    write(house / "test.csv", "image", "006.png", "007.png", "000.png")  # the first two have no scores
    ended = select("--exclude", "test.csv", "--count", 2)
    assert "2 queries from a pool of 5 (without 3 excluded)" in ended.stderr


def test_an_empty_pool_is_bad_data(house: Path) -> None:
    for ended in (select("--count", 1, "--exclude", "oracle.csv"), first("--count", 1, "--labels", "oracle.csv")):
        assert ended.code == 3
        assert "labelled or excluded" in ended.stderr
    assert not Path("q.csv").exists()


@pytest.mark.parametrize("labels", [(), ("dark",), ("dark", "light", "dark")])
def test_the_same_command_again_is_up_to_date_also_when_some_are_answered(house: Path, labels: tuple[str, ...]) -> None:
    select("--count", 3)
    text = answer("q.csv", *labels)
    ended = select("--count", 3, "--json")
    assert (ended.code, ended.json["status"]) == (0, "up to date")
    assert (ended.json["counts"]["pool"], ended.json["counts"]["queries"], ended.json["strategy"]) == (6, 3, "dfal")
    assert Path("q.csv").read_text() == text


def test_a_list_that_came_back_from_a_spreadsheet_is_up_to_date(house: Path) -> None:
    select("--count", 3)
    answer("q.csv", "dark")
    rows().to_csv("q.csv", sep=";", lineterminator="\r\n", index=False, encoding="utf-8-sig")
    assert select("--count", 3, "--json").json["status"] == "up to date"


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_a_list_with_answers_is_never_overwritten(house: Path, force: tuple[str, ...]) -> None:
    select("--count", 3)
    text = answer("q.csv", "dark")
    for ended in (select("--count", 4, *force), first("--count", 3, *force)):
        assert ended.code == 2
        assert "holds 1 answer," in ended.stderr
    assert Path("q.csv").read_text() == text


def test_another_list_is_overwritten_only_with_force(house: Path) -> None:
    select("--count", 3)
    text = Path("q.csv").read_text()
    ended = select("--count", 4)
    assert (ended.code, Path("q.csv").read_text()) == (2, text)
    assert "--force" in ended.stderr
    assert select("--count", 4, "--force").code == 0
    assert len(rows()) == 4


def test_a_preview_must_not_take_the_place_of_the_list(house: Path) -> None:
    assert select("--count", 3, "--preview", "q.csv").code == 2
    assert not Path("q.csv").exists()


def test_a_file_that_is_not_a_list_is_not_overwritten(house: Path) -> None:
    before = Path("oracle.csv").read_bytes()
    assert select("--count", 3, "--force", out="oracle.csv").code == 2
    assert Path("oracle.csv").read_bytes() == before


@pytest.mark.parametrize("out", ["q.csv", "lists/deep/q.csv"])
def test_twin_paths_are_relative_to_the_list(house: Path, out: str) -> None:
    scores = house / "scored" / "s.parquet"
    margins = {"000.png": 0.1, "001.png": 0.2}
    write_margins(scores, house / "images", margins, twin=["s.parquet.twins/000.png.npy", None])
    ended = dfal("select", "--scores", "scored/s.parquet", "--count", 2, "--out", out, "--json")
    twins = rows(out)["twin"].tolist()
    expected = os.path.relpath("scored/s.parquet.twins/000.png.npy", Path(out).parent)
    assert twins == [Path(expected).as_posix(), ""]
    assert ended.json["counts"]["without_twin"] == 1
    assert "; 1 without a twin" in ended.stderr


def test_a_list_by_a_strategy_without_twins_carries_none(house: Path) -> None:
    margins = {"000.png": 0.1, "001.png": 0.2}
    write_margins(house / "s.parquet", house / "images", margins, twin=["s.parquet.twins/000.png.npy", None])
    for out, strategy in (("with.csv", "dfal"), ("without.csv", "dfal-without-twins")):
        assert dfal("select", "--scores", "s.parquet", "--count", 2, "--out", out, "--strategy", strategy).code == 0
    asked, without = rows("with.csv"), rows("without.csv")
    assert asked["twin"].tolist() == ["s.parquet.twins/000.png.npy", ""]
    assert without["twin"].tolist() == ["", ""]
    assert asked.drop(columns="twin").equals(without.drop(columns="twin"))


@pytest.mark.parametrize(
    ("strategy", "measure"),
    [("dfal", []), ("entropy", ["entropy"]), ("least-confidence", ["confidence"]), ("random", []),
     ("probability-gap", ["probability_gap"])],
)  # fmt: skip
def test_the_list_has_the_documented_columns_and_the_models_guess_only_when_asked(
    house: Path, strategy: str, measure: list[str]
) -> None:
    select("--count", 2, "--strategy", strategy)
    select("--count", 2, "--strategy", strategy, "--with-predictions", out="r.csv")
    usual = ["rank", "image", "label", "margin", "twin", *measure]
    assert list(rows().columns) == usual
    assert list(rows("r.csv").columns) == [*usual, "predicted"]
    assert rows("r.csv")["predicted"].tolist() == ["dark", "dark"]
    assert set(rows("r.csv")["label"]) == {""}


def test_a_crafted_file_name_runs_nothing_in_a_spreadsheet(house: Path) -> None:
    Image.new("L", (4, 4)).save(house / "images" / "=cmd.png")
    first("--count", 50)
    assert "./=cmd.png" in rows()["image"].tolist()


def test_json_has_counts_and_strategy(house: Path) -> None:
    told = json.loads(select("--count", 3, "--json").stdout)
    assert told["counts"] == {
        "pool": 6, "labelled": 0, "excluded": 0, "queries": 3, "without_twin": 3, "gone": 0,
    }  # fmt: skip
    assert told["strategy"] == "dfal"
