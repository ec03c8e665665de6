"""select: strategies that need more of a scores file than its margins, and the pseudo-labels of ceal."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dfal_cli.strategies import STRATEGIES, Strategy, by_measure
from dfal_cli.system.fingerprints import canonical_json
from dfal_cli.tables import read_pseudo_labels, read_scores_metadata, write_labelled_embeddings
from tests.conftest import Ended, dfal, draw_folder, write, write_margins

IMAGES = [f"{number:03d}.png" for number in range(6)]
ENTROPIES = [0.5, 0.04, 0.03, 0.6, 0.001, 0.7]
PLACES = {"000.png": 0, "001.png": 1, "002.png": 5, "003.png": 6, "004.png": 20, "005.png": 21}
"""Embeddings on a line."""


def vectors(rows: list[list[float]]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ravel(rows), pa.float32()), len(rows[0]))


def add(path: Path, **columns: pa.Array) -> None:
    """Add the columns of further measures to a scores file."""
    table = pq.read_table(path)
    for name, values in columns.items():
        table = table.append_column(name, values)
    pq.write_table(table, path)


def write_labelled(made_from: str = "this", **places: float) -> None:
    """Embeddings of labelled images, which belong to s.parquet if they are made from "this"."""
    scores = Path("s.parquet")
    metadata = {**read_scores_metadata(scores), "labelled_embeddings": True, "made_from": "this"}
    pq.write_table(pq.read_table(scores).replace_schema_metadata({"dfal": canonical_json(metadata)}), scores)
    embeddings = np.array([[place, 0] for place in places.values()], np.float32)
    write_labelled_embeddings(scores, [f"{name}.png" for name in places], embeddings, made_from)


@pytest.fixture
def house(in_tmp: Path) -> Path:
    """images/ with eight images, s.parquet with every measure for six of them; the test runs there."""
    draw_folder(in_tmp, each=4)
    path = write_margins(in_tmp / "s.parquet", in_tmp / "images", dict.fromkeys(IMAGES, 0.5), entropy=ENTROPIES)
    add(
        path,
        bald=pa.array([0, 1, 2, 3, 4, None], pa.float32()),
        egl=pa.array([5, 4, 3, 2, 1, None], pa.float32()),
        embedding=vectors([[place, 0] for place in PLACES.values()]),
        probabilities=vectors([[0.6, 0.4]] * 6),
    )
    return in_tmp


def select(strategy: str, *arguments: object, scores: str = "s.parquet", out: str = "q.csv") -> Ended:
    return dfal("select", "--scores", scores, "--out", out, "--strategy", strategy, *arguments)


def picked(path: str = "q.csv") -> list[str]:
    return pd.read_csv(path, dtype=str)["image"].tolist()


def pseudo() -> str:
    return Path("q.csv.pseudo.csv").read_text()


@pytest.mark.parametrize(("strategy", "best"), [("bald", "004.png"), ("egl", "000.png")])
def test_a_further_measure_is_sorted_by_and_shown(house: Path, strategy: str, best: str) -> None:
    assert select(strategy, "--count", 6).code == 0
    table = pd.read_csv("q.csv", dtype=str)
    assert (table["image"][0], table["image"][5]) == (best, "005.png")
    assert list(table.columns) == ["rank", "image", "label", "margin", "twin", strategy]


def test_a_further_measure_is_read_from_csv_too(house: Path) -> None:
    write_margins(house / "s.csv", house / "images", dict.fromkeys(IMAGES, 0.5))
    table = pd.read_csv("s.csv", dtype=str, keep_default_na=False).assign(bald=["1", "", "3", "2", "0", "5"])
    table.to_csv("s.csv", index=False)
    assert select("bald", "--count", 3, scores="s.csv").code == 0
    assert picked() == ["005.png", "002.png", "003.png"]


@pytest.mark.parametrize(
    ("strategy", "missing", "advice"),
    [
        ("badge", "no embedding and no probabilities", "score with --measure embedding --measure probabilities"),
        ("core-set", "no embedding", "score with --measure embedding"),
        ("bald", "no bald", "score with --measure bald"),
        ("egl", "no egl", "score with --measure egl"),
    ],
)
def test_a_measure_that_was_not_scored_is_a_usage_error_that_says_how_to(
    house: Path, strategy: str, missing: str, advice: str
) -> None:
    write_margins(house / "bare.parquet", house / "images", dict.fromkeys(IMAGES, 0.5))
    ended = select(strategy, "--count", 2, scores="bare.parquet")
    assert ended.code == 2
    assert f"--strategy {strategy}: bare.parquet has {missing}; {advice}\n" in ended.stderr
    assert not Path("q.csv").exists()


def test_strategies_without_margins_take_a_file_that_has_none(house: Path) -> None:
    table = pq.read_table("s.parquet")
    nothing = pa.nulls(6, pa.float32())
    pq.write_table(table.set_column(table.column_names.index("margin"), "margin", nothing), "s.parquet")
    for strategy in ("core-set", "badge", "bald", "ceal"):
        assert select(strategy, "--count", 2, out=f"{strategy}.csv").code == 0


def test_a_strategy_that_needs_several_margins_per_query_needs_that_many_nearest(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STRATEGIES, "wide", Strategy(by_measure("margin"), "three margins a query", nearest=3))
    table = pq.read_table("s.parquet")
    metadata = {**read_scores_metadata(Path("s.parquet")), "nearest": 4}
    margins = pa.array([0.1, 0.2, 0.3, 0.4, None, None], pa.float32())
    table = table.set_column(table.column_names.index("margin"), "margin", margins)
    pq.write_table(table.replace_schema_metadata({"dfal": canonical_json(metadata)}), "s.parquet")
    assert select("wide", "--count", 1).code == 0
    ended = select("wide", "--count", 2, out="r.csv")
    assert ended.code == 2
    assert "score with --nearest 6" in ended.stderr


def test_core_set_stays_away_from_the_images_that_were_labelled_when_scored(house: Path) -> None:
    write(house / "labels.csv", "image,label", "006.png,dark")
    write_labelled(**{"006": 0})
    ended = select("core-set", "--count", 3, "--labels", "labels.csv")
    assert picked() == ["005.png", "003.png", "001.png"]  # 21, 6, 1 (as 002.png and 004.png) from the nearest
    assert "no embedding" not in ended.stderr


def test_core_set_stays_away_from_what_was_labelled_since_and_from_lists_still_being_answered(house: Path) -> None:
    write(house / "labels.csv", "image,label", "004.png,dark")
    write(house / "asked.csv", "image,label", "000.png,")
    select("core-set", "--count", 1, "--labels", "labels.csv", "--exclude", "asked.csv")
    assert picked() == ["003.png"]  # 6 from 0, where 005.png is 1 from 20


def test_core_set_does_not_stay_away_from_skipped_images(house: Path) -> None:
    write(house / "labels.csv", "image,label", "004.png,__skip__", "007.png,__skip__", "000.png,dark")
    write_labelled(**{"007": 21})
    select("core-set", "--count", 1, "--labels", "labels.csv")
    assert picked() == ["005.png"]


def test_core_set_says_how_many_labelled_images_it_does_not_know(house: Path) -> None:
    write(house / "labels.csv", "image,label", "006.png,dark", "007.png,light")
    write_labelled(**{"006": 3})
    ended = select("core-set", "--count", 1, "--labels", "labels.csv", "--json")
    assert any("1 labelled images have no embedding" in warning for warning in ended.json["warnings"])


def test_embeddings_of_another_network_are_bad_data(house: Path) -> None:
    write_labelled(made_from="other scores", **{"006": 3})
    ended = select("core-set", "--count", 1)
    assert (ended.code, "score again" in ended.stderr) == (3, True)


def test_ceal_asks_about_the_highest_entropy_and_labels_what_is_certain_and_not_asked_about(house: Path) -> None:
    ended = select("ceal", "--count", 2, "--json")
    assert picked() == ["005.png", "003.png"]
    assert pseudo() == "image,pseudo_label\n001.png,dark\n002.png,dark\n004.png,dark\n"
    assert ended.json["outputs"] == ["q.csv", "q.csv.pseudo.csv"]
    assert ended.json["counts"]["pseudo_labels"] == 3
    assert "pseudo-labels for 3 other images" in ended.stderr


def test_queries_labelled_and_excluded_images_get_no_pseudo_label(house: Path) -> None:
    write(house / "labels.csv", "image,label", "002.png,__skip__")
    write(house / "test.csv", "image", "004.png")
    out = ("--labels", "labels.csv", "--exclude", "test.csv")
    select("ceal", "--count", 2, *out)
    assert pseudo() == "image,pseudo_label\n001.png,dark\n"
    select("ceal", "--count", 4, *out, "--force")
    assert pseudo() == "image,pseudo_label\n"


def test_a_later_round_replaces_the_pseudo_labels_also_beside_an_answered_list(house: Path) -> None:
    select("ceal", "--count", 2)
    before = Path("q.csv").read_text().replace("005.png,,", "005.png,light,")
    Path("q.csv").write_text(before)
    ended = select("ceal", "--count", 2, "--round", 5, "--json")
    assert (ended.code, ended.json["status"]) == (0, "done")
    assert pseudo() == "image,pseudo_label\n002.png,dark\n004.png,dark\n"
    assert Path("q.csv").read_text() == before


def test_the_same_ceal_again_is_up_to_date_and_restores_pseudo_labels_that_are_gone(house: Path) -> None:
    select("ceal", "--count", 2)
    first = pseudo()
    again = select("ceal", "--count", 2, "--json").json
    assert (again["status"], again["outputs"]) == ("up to date", ["q.csv", "q.csv.pseudo.csv"])
    Path("q.csv.pseudo.csv").unlink()
    assert select("ceal", "--count", 2, "--json").json["status"] == "done"
    assert pseudo() == first


def test_no_pseudo_labels_stay_beside_a_list_that_another_strategy_replaced(house: Path) -> None:
    select("ceal", "--count", 2)
    assert select("dfal", "--count", 3, "--force").code == 0
    assert not Path("q.csv.pseudo.csv").exists()


def test_a_refused_list_leaves_the_pseudo_labels_as_they_were(house: Path) -> None:
    select("ceal", "--count", 2)
    before = pseudo()
    assert select("ceal", "--count", 3, "--round", 9).code == 2
    assert pseudo() == before


def test_a_class_that_a_spreadsheet_would_run_is_escaped_in_pseudo_labels_too(house: Path) -> None:
    classes = ["=1+1", "-", "'=", "dark", "@x", "dark"]
    write_margins(house / "s.parquet", house / "images", dict.fromkeys(IMAGES, 0.5), predicted=classes, entropy=[0] * 6)
    select("ceal", "--count", 1)
    assert pseudo() == "image,pseudo_label\n001.png,'-\n002.png,''=\n003.png,dark\n004.png,'@x\n005.png,dark\n"
    table, _ = read_pseudo_labels([Path("q.csv.pseudo.csv")], sorted(set(classes)), set())
    assert table["label"].tolist() == classes[1:]


def test_all_score_options_a_strategy_needs_are_named_in_one_message(house: Path) -> None:
    write_margins(house / "bare.parquet", house / "images", dict.fromkeys(IMAGES, 0.5))
    ended = select("dfal-diverse", "--count", 3, scores="bare.parquet")
    assert (ended.code, "score with --measure embedding --nearest 30\n" in ended.stderr) == (2, True)


def test_pseudo_labels_do_not_outlive_their_list(house: Path) -> None:
    assert select("ceal", "--count", 2).code == 0
    assert "made with --strategy ceal, not entropy" in select("entropy", "--count", 2).stderr
    assert Path("q.csv.pseudo.csv").exists()
    assert select("entropy", "--count", 2, "--force").code == 0
    assert not Path("q.csv.pseudo.csv").exists()
