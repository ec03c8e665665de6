"""The commands as a chain on the sample data, and a small committed checkpoint whose queries are known."""

import csv
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from dfal_cli.schemas import EMBEDDING
from dfal_cli.strategies import STRATEGIES
from dfal_cli.tables import read_csv, read_labels, read_scores, write_labels
from tests.conftest import SAMPLE_DATA, dfal

DATA = Path(__file__).parent / "data"
KNOWN_CHECKPOINT = DATA / "lenet5_16px.safetensors"  # trained on the first 200 rows of oracle.csv, 16 x 16 pixels
IMAGES = ("--images", SAMPLE_DATA / "images")
OUTSIDE_POOL = ("--exclude", SAMPLE_DATA / "test.csv", "--exclude", "trained_on.csv")
WELL_APART = 1.01
"""Margins in this ratio keep their order on any machine."""


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture
def known_pool(in_tmp):
    rows = (SAMPLE_DATA / "oracle.csv").read_text().splitlines()[:201]
    Path("trained_on.csv").write_text("\n".join(rows) + "\n")
    return {row["image"]: float(row["margin"]) for row in rows_of(DATA / "known_margins.csv")}


def test_margins_of_the_committed_checkpoint_are_those_it_had(known_pool):
    ended = dfal("score", *IMAGES, *OUTSIDE_POOL, "--checkpoint", KNOWN_CHECKPOINT, "--out", "s.parquet", "--quiet")
    assert ended.code == 0, ended.stderr
    scores = read_scores(Path("s.parquet")).table
    assert set(scores["image"]) == set(known_pool)
    known = np.array([known_pool[image] for image in scores["image"]])
    # A path that passes close to where two boundaries meet may turn either way; nearly all do not.
    agree = np.isclose(scores["margin"], known, rtol=1e-3, atol=1e-6)
    assert agree.mean() > 0.99


def test_queries_of_the_committed_checkpoint_come_in_the_known_order(known_pool):
    dfal("score", *IMAGES, *OUTSIDE_POOL, "--checkpoint", KNOWN_CHECKPOINT, "--out", "s.parquet", "--quiet")
    dfal("select", "--scores", "s.parquet", "--count", 100, "--out", "q.csv", "--quiet")
    picked = [known_pool[row["image"]] for row in rows_of(Path("q.csv"))]
    assert len(picked) == 100
    for rank, margin in enumerate(picked):
        assert all(later * WELL_APART > margin for later in picked[rank:])
    left_out = set(known_pool.values()) - set(picked)
    assert min(left_out) * WELL_APART > max(picked)


def test_a_round_from_no_labels_to_a_network_trained_on_twins(in_tmp):
    oracle = {row["image"]: row["label"] for row in rows_of(SAMPLE_DATA / "oracle.csv")}
    outside = ("--exclude", SAMPLE_DATA / "test.csv")
    training = ("train", *IMAGES, "--labels", "labels.csv", "--test", SAMPLE_DATA / "test.csv", "--epochs", 8, "--json")

    def answer_and_merge(queries: str) -> dict:
        table = read_labels(Path(queries))
        write_labels(Path(queries), table.assign(label=table["image"].map(oracle)))
        return dfal("merge", "--queries", queries, "--labels", "labels.csv", "--allow-new-classes", "--json").json

    dfal("select", *IMAGES, *outside, "--strategy", "random", "--count", 60, "--out", "first.csv")
    assert answer_and_merge("first.csv")["counts"]["merged"] == 60
    assert dfal(*training, "--out", "first.safetensors").json["counts"]["twins"] == 0

    scored = dfal(
        "score", *IMAGES, *outside, "--labels", "labels.csv", "--checkpoint", "first.safetensors", "--twins", 30,
        "--out", "round/scores.parquet", "--json",
    )  # fmt: skip
    assert scored.json["counts"] | {"crossed": 540} == scored.json["counts"]
    dfal("select", "--scores", "round/scores.parquet", "--count", 30, "--out", "round/queries.csv")
    assert answer_and_merge("round/queries.csv")["counts"] == {
        "merged": 30, "skipped": 0, "unchanged": 0, "left": 0, "conflicts": 0, "labelled": 90,
    }  # fmt: skip
    second = dfal(*training, "--out", "second.safetensors").json
    assert (second["counts"]["labelled"], second["counts"]["twins"]) == (90, 30)
    assert sum(map(sum, second["test"]["confusion"])) == 200


def test_pseudo_labels_train_along_and_never_reach_the_labels_file(known_pool):
    oracle = {row["image"]: row["label"] for row in rows_of(SAMPLE_DATA / "oracle.csv")}
    write_labels(Path("labels.csv"), read_labels(Path("trained_on.csv")))
    dfal("score", *IMAGES, *OUTSIDE_POOL, "--checkpoint", KNOWN_CHECKPOINT, "--nearest", 1, "--out", "s.parquet")
    picking = ("--scores", "s.parquet", "--strategy", "ceal", "--count", 20, "--out", "q.csv")
    guessed = dfal("select", *picking, "--json").json["counts"]["pseudo_labels"]
    guesses = read_csv(Path("q.csv.pseudo.csv"), ("image", "pseudo_label"))
    assert guessed == len(guesses) > 0

    trained = dfal(
        "train", *IMAGES, "--labels", "labels.csv", "--pseudo-labels", "q.csv.pseudo.csv", "--test",
        SAMPLE_DATA / "test.csv", "--image-size", 16, "--epochs", 1, "--out", "m.safetensors", "--json",
    ).json  # fmt: skip
    assert (trained["counts"]["labelled"], trained["counts"]["pseudo"]) == (200, guessed)

    table = read_labels(Path("q.csv"))
    write_labels(Path("q.csv"), table.assign(label=table["image"].map(oracle)))
    assert dfal("merge", "--queries", "q.csv", "--labels", "labels.csv").code == 0
    assert dfal("merge", "--queries", "q.csv.pseudo.csv", "--labels", "labels.csv").code == 3
    labels = read_labels(Path("labels.csv"))
    assert set(labels["image"]) == {row["image"] for row in rows_of(Path("trained_on.csv"))} | set(table["image"])
    assert not set(labels["image"]) & set(guesses["image"])
    assert (labels["label"] == labels["image"].map(oracle)).all()


def needs_of(name: str, embed: str = "") -> list[tuple[str, str]]:
    """The options of `score` that the nightly script chooses for a strategy."""
    script = (SAMPLE_DATA / "round.sh").read_text(encoding="utf-8")
    chosen = re.search(r"^nearest=0 .*?^done$", script, re.DOTALL | re.MULTILINE)
    shell = f"COUNT=20 STRATEGY={name} EMBED={embed}; {chosen[0]}; echo ${{needs[@]}}"
    needs = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True).stdout.split()
    return list(zip(needs[::2], needs[1::2], strict=True))


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_nightly_script_has_score_compute_what_the_strategy_needs(name):
    strategy = STRATEGIES[name]
    count = str(20 * strategy.nearest)
    twins = [("--twins", count)] if strategy.trains_on_twins else []
    assert needs_of(name) == [("--nearest", count), *twins, *(("--measure", measure) for measure in strategy.needs)]
    others = [measure for measure in strategy.needs if measure != EMBEDDING]
    assert needs_of(name, "embeddings.parquet") == [*twins, *(("--measure", measure) for measure in others)]
