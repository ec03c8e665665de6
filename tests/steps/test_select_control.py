"""select --control: a part of a list is drawn at random, marked, hidden from the person, and kept by merge."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfal_cli.strategies import Pool, pick_queries
from dfal_cli.strategies.control import control_size, pick_with_control
from tests.conftest import Ended, dfal, draw_folder, write, write_margins
from tests.page import Page
from tests.steps.test_select_again import EDITS

SCORED = 40


@pytest.fixture
def house(in_tmp: Path) -> Path:
    """images/ and scores.parquet for all 40 of them, the smallest margins first; the test runs there."""
    draw_folder(in_tmp)
    margins = {f"{number:03d}.png": 0.1 + number / 100 for number in range(SCORED)}
    write_margins(in_tmp / "scores.parquet", in_tmp / "images", margins)
    return in_tmp


def select(*arguments: object, out: str = "q.csv") -> Ended:
    ended = dfal("select", "--scores", "scores.parquet", "--out", out, *arguments)
    assert ended.code == 0, ended.stderr
    return ended


def rows(path: str = "q.csv") -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def scored(count: int) -> Pool:
    margins = np.linspace(0, 1, count)
    return Pool(pd.DataFrame({"image": [f"{number:03d}.png" for number in range(count)], "margin": margins}))


def slices(count: int, share: float, trials: int, pool: int = 20) -> list[pd.DataFrame]:
    return [pick_with_control(scored(pool), "dfal", count, seed, share) for seed in range(trials)]


def test_the_share_is_rounded_and_at_least_one_query() -> None:
    assert [control_size(40, 0.1), control_size(3, 0.1), control_size(10, 1), control_size(10, 0)] == [4, 1, 10, 0]


def test_the_slice_is_marked_and_the_strategy_picks_the_rest_from_what_remains(house: Path) -> None:
    ended = select("--count", 10, "--control", 0.3, "--json")
    table = rows()
    drawn, chosen = table[table["control"] == "1"], table[table["control"] == ""]
    assert (len(drawn), len(chosen), ended.json["counts"]["control"]) == (3, 7, 3)
    left = [f"{number:03d}.png" for number in range(SCORED) if f"{number:03d}.png" not in set(drawn["image"])]
    assert chosen["image"].tolist() == left[:7]
    assert table["rank"].tolist() == [str(rank) for rank in range(1, 11)]


def test_without_control_a_list_has_no_such_column_and_the_queries_of_before(house: Path) -> None:
    ended = select("--count", 10, "--json")
    assert "control" not in rows().columns
    assert "control" not in ended.json["counts"]
    assert rows()["image"].tolist() == [f"{number:03d}.png" for number in range(10)]


def test_every_image_of_the_pool_is_equally_probable_to_be_drawn() -> None:
    trials = 600
    drawn = pd.concat([table.loc[table["control"] == "1", "image"] for table in slices(8, 0.25, trials)])
    counts = drawn.value_counts().reindex([f"{number:03d}.png" for number in range(20)], fill_value=0)
    expected = trials * 2 / 20
    assert ((counts - expected) ** 2 / expected).sum() < 43.8  # chi-square with 19 degrees of freedom, p = 0.001


def test_the_ranks_of_the_slice_are_random() -> None:
    trials = 600
    ranks = np.concatenate([np.flatnonzero(table["control"] == "1") for table in slices(8, 0.25, trials)])
    counts = np.bincount(ranks, minlength=8)
    assert ((counts - trials * 2 / 8) ** 2 / (trials * 2 / 8)).sum() < 24.3  # 7 degrees of freedom, p = 0.001


def test_the_next_round_draws_anew_with_the_same_seed() -> None:
    def places(count: int) -> list[int]:
        table = pick_with_control(scored(count), "dfal", 10, 0, 0.5)
        return sorted(int(image[:3]) for image in table.loc[table["control"] == "1", "image"])

    assert places(400) == places(400) != places(399)


def test_the_list_does_not_depend_on_the_order_of_the_scores() -> None:
    pool = scored(30)
    shuffled = Pool(pool.scores.sample(frac=1, random_state=3).reset_index(drop=True))
    one, other = (pick_with_control(each, "dfal", 9, 1, 0.3) for each in (pool, shuffled))
    pd.testing.assert_frame_equal(one, other)


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_a_count_above_the_pool_lists_the_whole_pool_once(share: float) -> None:
    table = pick_with_control(scored(7), "dfal", 50, 0, share)
    assert sorted(table["image"]) == sorted(scored(7).scores["image"])


def test_a_slice_of_the_whole_list_leaves_nothing_to_the_strategy() -> None:
    table = pick_with_control(scored(7), "dfal", 3, 0, 1.0)
    assert table["control"].tolist() == ["1", "1", "1"]


def test_copies_of_an_image_may_be_drawn_though_the_strategy_picks_only_one() -> None:
    pool = scored(6)
    same = pd.Series([np.ones(2, np.float32)] * 6, dtype=object)
    pool = pool._replace(scores=pool.scores.assign(embedding=same))
    assert pick_queries(pool, "typical", 1, 0)["image"].tolist() == ["000.png"]
    drawn = {pick_with_control(pool, "typical", 1, seed, 1.0)["image"][0] for seed in range(60)}
    assert len(drawn) == 6


def test_strategies_that_spread_keep_away_from_the_slice_as_from_labelled_images() -> None:
    places = [0.0, 0.01, 10, 10.01, 20, 20.01]  # three pairs
    vectors = pd.Series([np.array([place, 1], np.float32) for place in places], dtype=object)
    pool = scored(6)
    pool = Pool(pool.scores.assign(embedding=vectors), np.array([[0, 1]], np.float32))
    for seed in range(8):
        table = pick_with_control(pool, "core-set", 2, seed, 0.5)
        drawn, picked = (int(table.loc[table["control"] == mark, "image"].item()[:3]) for mark in ("1", ""))
        assert picked // 2 != drawn // 2, seed


def test_margins_that_suffice_for_the_strategys_part_of_the_list_suffice(house: Path) -> None:
    margins = {f"{number:03d}.png": 0.1 if number < 9 else None for number in range(SCORED)}
    write_margins(house / "scores.parquet", house / "images", margins)
    ended = select("--count", 10, "--control", 0.2)
    assert "without a known margin" not in ended.stderr


def test_a_random_query_without_a_twin_is_no_query_that_lacks_one(house: Path) -> None:
    margins = {f"{number:03d}.png": 0.1 + number / 100 for number in range(SCORED)}
    twins = [f"t/{number}.npy" if number < 10 else None for number in range(SCORED)]
    write_margins(house / "scores.parquet", house / "images", margins, twin=twins)
    ended = select("--count", 10, "--control", 0.2, "--json")
    assert ended.json["counts"]["without_twin"] == 0
    assert "2 of them are random control images; 0 without a twin" in ended.stderr


def test_a_slice_needs_scores(house: Path) -> None:
    ended = dfal(
        "select", "--images", "images", "--strategy", "random", "--count", 5, "--control", 0.2, "--out", "q.csv"
    )
    assert (ended.code, "--control: requires --scores" in ended.stderr) == (2, True)


def test_the_same_command_again_is_up_to_date_and_another_share_another_list(house: Path) -> None:
    select("--count", 10, "--control", 0.2)
    assert select("--count", 10, "--control", 0.2, "--json").json["status"] == "up to date"
    ended = dfal("select", "--scores", "scores.parquet", "--out", "q.csv", "--count", 10, "--control", 0.3)
    assert (ended.code, "was made with --control 0.2, not 0.3" in ended.stderr) == (2, True), ended.stderr


@pytest.mark.parametrize("predictions", [(), ("--with-predictions",)])
def test_the_page_says_nothing_of_a_single_query_that_betrays_the_slice(
    house: Path, predictions: tuple[str, ...]
) -> None:
    select("--count", 10, "--control", 0.3, "--preview", "p.html", *predictions)
    page = Page(house / "p.html")
    shown = page.source.split('<script type="application/json"')[0]
    cards = re.findall(r"<article.*?</article>", shown, re.DOTALL)
    assert len(cards) == 10
    alike = {re.sub(r'src="[^"]*"|\d{3}\.png|image \d+|rank">\d+', "", card) for card in cards}
    assert len(alike) == 1
    assert "Why this one?" not in shown
    assert "A few others are drawn at random and mixed in" in page.words


def test_answers_saved_by_the_page_keep_the_marks(house: Path) -> None:
    select("--count", 10, "--control", 0.3, "--preview", "p.html")
    embedded = json.loads(re.search(r'id="list">(.*?)</script>', Path("p.html").read_text(), re.DOTALL)[1])
    column = embedded["columns"].index("control")
    assert [row[column] for row in embedded["rows"]] == rows()["control"].tolist()


def test_an_export_does_not_tell_which_queries_are_random(house: Path) -> None:
    select("--count", 6, "--control", 0.5)
    ended = dfal(
        "export", "--queries", "q.csv", "--images", "images", "--to", "labelstudio", "--class-names", "dark,light",
        "--out", "tasks",
    )  # fmt: skip
    assert ended.code == 0, ended.stderr
    assert not any("control" in path.read_text() for path in Path("tasks").iterdir() if path.is_file())


def merge(queries: str, labels: str, *arguments: object) -> Ended:
    return dfal("merge", "--queries", queries, "--labels", labels, *arguments)


def marks(path: str = "labels.csv") -> dict[str, str]:
    return rows(path).set_index("image")["control"].to_dict()


def test_merge_keeps_the_marks_in_a_column_of_their_own_through_further_merges(in_tmp: Path) -> None:
    write(in_tmp / "labels.csv", "image,label,notes", "a.png,x,old", "b.png,,blurred")
    write(in_tmp / "q.csv", "image,label,control", "b.png,y,1", "c.png,x,", "d.png,y,1")
    assert merge("q.csv", "labels.csv", "--allow-new-classes").code == 0
    assert rows("labels.csv").columns.tolist() == ["image", "label", "notes", "twin", "control"]
    assert marks() == {"a.png": "", "b.png": "1", "c.png": "", "d.png": "1"}
    write(in_tmp / "q2.csv", "image,label", "e.png,x", "d.png,x")
    assert merge("q2.csv", "labels.csv", "--on-conflict", "replace").code == 0
    assert marks() == {"a.png": "", "b.png": "1", "c.png": "", "d.png": "1", "e.png": ""}
    assert merge("q.csv", "labels.csv", "--out", "far/l.csv", "--on-conflict", "keep").code == 0
    assert marks("far/l.csv") == marks()


def test_a_list_without_a_slice_adds_no_column(in_tmp: Path) -> None:
    write(in_tmp / "q.csv", "image,label,control", "b.png,y,", "c.png,x,")
    assert merge("q.csv", "labels.csv").code == 0
    assert rows("labels.csv").columns.tolist() == ["image", "label", "twin"]


def test_answers_of_a_tool_or_a_copy_keep_the_marks_of_the_list(in_tmp: Path) -> None:
    write(in_tmp / "q.csv", "image,label,control", "a.png,,1", "b.png,,")
    write(in_tmp / "answers.csv", "image,label", "a.png,x", "b.png,y")
    assert merge("q.csv", "labels.csv", "--answers", "answers.csv").code == 0
    assert marks() == {"a.png": "1", "b.png": ""}


def test_a_column_of_the_users_own_is_neither_read_as_marks_nor_overwritten(in_tmp: Path) -> None:
    own = ("image,label,control", "a.png,x,group A", "b.png,y,group B")
    write(in_tmp / "labels.csv", *own)
    write(in_tmp / "q.csv", "image,label,control", "c.png,x,1")
    before = Path("labels.csv").read_bytes()
    ended = merge("q.csv", "labels.csv")
    assert (ended.code, "its column control is your own" in ended.stderr) == (3, True), ended.stderr
    assert Path("labels.csv").read_bytes() == before
    write(in_tmp / "q.csv", "image,label", "c.png,x")
    assert merge("q.csv", "labels.csv").code == 0
    assert marks() == {"a.png": "group A", "b.png": "group B", "c.png": ""}


@pytest.mark.parametrize("edit", [name for name in EDITS if name not in ("columns deleted", "filtered", "all of it")])
def test_the_marks_survive_what_spreadsheets_do_to_a_list(house: Path, edit: str) -> None:
    select("--count", 10, "--control", 0.3)
    drawn = set(rows().loc[rows()["control"] == "1", "image"])
    answered = rows().assign(label="dark")
    if edit != "columns moved":
        Path("q.csv").write_text(EDITS[edit](answered), encoding="utf-8")
    else:
        answered[["control", "label", "image"]].replace({"control": {"1": "1.0"}}).to_csv("q.csv", index=False)
    assert merge("q.csv", "labels.csv").code == 0
    assert {image for image, mark in marks().items() if mark == "1"} == drawn
