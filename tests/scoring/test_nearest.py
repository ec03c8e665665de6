"""score --nearest: the N smallest margins, the same as when all are computed, at a fraction of the cost."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from dfal_cli.margins import ESTIMATORS
from dfal_cli.scoring.nearest import CHUNKS, FIRST_FACTOR, resolve_ties, walk_nearest
from dfal_cli.scoring.rows import MEASURED, OUTCOMES, Rows, no_margins
from dfal_cli.system.progress import Progress
from dfal_cli.system.reporting import Silent
from dfal_cli.tables import read_scores
from tests.conftest import SAMPLE_DATA, dfal, write

CHECKPOINT = Path(__file__).parents[1] / "data" / "lenet5_16px.safetensors"


class KnownMargins:
    """Stands where images are examined, with a margin for each: its logit gap over a known slope."""

    def __init__(self, slopes: np.ndarray, gaps: np.ndarray) -> None:
        self.reporter = Silent()
        self.detours = np.ones(len(gaps))
        self.margins = gaps / slopes
        measured = np.zeros(len(gaps), MEASURED)
        measured["logit_gap"] = gaps
        self.rows = Rows([f"{number:05d}.png" for number in range(len(gaps))], measured, no_margins(len(gaps)))

    def add_margins(
        self, places: np.ndarray, progress: Progress, *, give_up_beyond: float = np.inf, exact: bool = False
    ) -> None:
        """An image goes `detours` times too far before it comes back to its margin."""
        progress.advance(len(places))
        given_up = self.margins[places] * self.detours[places] > give_up_beyond
        self.rows.margins["margin"][places] = np.where(given_up, np.nan, self.margins[places])
        self.rows.margins["outcome"][places] = OUTCOMES.index("crossed")
        self.rows.margins["outcome"][places[given_up]] = OUTCOMES.index("skipped")

    def found(self, count: int) -> set[int]:
        return set(self.rows.by_margin()[:count].tolist())

    def true(self, count: int) -> set[int]:
        return set(np.argsort(self.margins, kind="stable")[:count].tolist())

    @property
    def known(self) -> np.ndarray:
        return np.isfinite(self.rows.margins["margin"])


@pytest.mark.parametrize("wanted", [1, 50, 2000])
def test_the_walk_finds_the_nearest_and_examines_a_small_part_of_the_pool(wanted):
    generator = np.random.default_rng(0)
    pool = KnownMargins(generator.uniform(1, 1.9, 20_000), generator.exponential(5, 20_000))
    audit = walk_nearest(pool, wanted, seed=0)
    assert pool.found(wanted) == pool.true(wanted)
    assert (audit.missed, audit.factor) == (0, FIRST_FACTOR)
    assert audit.examined == pool.rows.of_outcome("crossed") + audit.given_up
    assert audit.examined <= 6 * wanted + 2 * CHUNKS[0] + audit.audited
    assert 0 < audit.missed_at_most < 0.05


def test_an_audit_that_finds_a_miss_raises_the_factor_and_the_walk_continues():
    # A third of the images with large gaps are far steeper than any that the walk meets at first.
    generator = np.random.default_rng(0)
    gaps = np.sort(generator.uniform(0.1, 10, 5_000))
    slopes = np.where((gaps > 5) & (generator.random(5_000) < 0.3), 200.0, 1.0)
    pool = KnownMargins(slopes, gaps)
    audit = walk_nearest(pool, 300, seed=0)
    assert audit.missed > 0
    assert audit.factor > FIRST_FACTOR
    assert pool.found(300) == pool.true(300)


@pytest.mark.parametrize("seed", range(5))
def test_audits_find_images_given_up_too_early_except_for_the_share_they_state(seed):
    # All images go four times too far before they come back.
    generator = np.random.default_rng(0)
    pool = KnownMargins(generator.uniform(1, 1.9, 5_000), generator.exponential(5, 5_000))
    pool.detours[:] = 4.0
    audit = walk_nearest(pool, 500, seed=seed)
    assert audit.missed > 0
    assert audit.factor > FIRST_FACTOR
    left = 5_000 - audit.examined + audit.given_up
    assert len(pool.true(500) - pool.found(500)) <= audit.missed_at_most * left


def test_the_walk_continues_when_an_audit_finds_a_steeper_slope():
    # Every tenth image beyond the first thousand is four times as steep as all before, and yet too far to be wanted.
    gaps = np.linspace(1, 100, 5_000)
    slopes = np.where((np.arange(5_000) > 1_000) & (np.arange(5_000) % 10 == 0), 4.0, 1.0)
    pool = KnownMargins(slopes, gaps)
    audit = walk_nearest(pool, 20, seed=0)
    steepest = slopes[pool.known].max()
    threshold = np.sort(pool.margins[pool.known])[19]
    assert (audit.missed, steepest) == (0, 4.0)
    assert audit.examined < len(gaps)
    assert (gaps[~pool.known] <= audit.factor * steepest * threshold).sum() <= audit.given_up


@pytest.mark.parametrize("nearest", [None, 3])
def test_without_crossed_images_there_are_no_ties_to_resolve(nearest):
    pool = KnownMargins(np.ones(10), np.arange(1.0, 11.0))
    resolve_ties(pool, nearest)
    assert not pool.known.any()


def test_images_with_long_perturbations_are_given_up_without_a_margin():
    generator = np.random.default_rng(0)
    pool = KnownMargins(generator.uniform(1, 10, 5_000), generator.exponential(5, 5_000))
    audit = walk_nearest(pool, 50, seed=0)
    assert 0 < audit.given_up <= pool.rows.of_outcome("skipped")
    assert pool.found(50) == pool.true(50)


def test_a_pool_smaller_than_nearest_is_examined_completely():
    pool = KnownMargins(np.ones(10), np.arange(1.0, 11.0))
    audit = walk_nearest(pool, 50, seed=0)
    assert (audit.examined, audit.audited, audit.missed_at_most) == (10, 0, 0.0)


def score(out: str, *options: object):
    return dfal(
        "score", "--images", SAMPLE_DATA / "images", "--exclude", SAMPLE_DATA / "test.csv",
        "--checkpoint", CHECKPOINT, "--out", out, *options,
    )  # fmt: skip


def queries(scores: str, count: int) -> list[str]:
    out = f"{scores}.{count}.csv"
    ended = dfal("select", "--scores", scores, "--count", count, "--out", out, "--quiet")
    assert ended.code == 0, ended.stderr
    return [line.split(",")[1] for line in Path(out).read_text().splitlines()[1:]]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_queries_equal_those_of_scoring_all_images_at_any_batch_size(in_tmp, estimator):
    assert score("all.parquet", "--estimator", estimator).code == 0
    for batch_size in (1, 7, 64, 1000):
        ended = score(
            f"{batch_size}.parquet", "--nearest", 20, "--batch-size", batch_size, "--estimator", estimator
        )  # fmt: skip
        assert ended.code == 0
        assert queries(f"{batch_size}.parquet", 20) == queries("all.parquet", 20)


def test_copies_of_an_image_rank_by_path_at_any_batch_size(in_tmp):
    score("all.parquet")
    tied = queries("all.parquet", 10)[9]  # of the pool below, at ranks 10 to 49
    for number in range(40):
        shutil.copy(SAMPLE_DATA / "images" / tied, in_tmp / f"copy{number:02d}.png")
    for name in queries("all.parquet", 9):
        shutil.copy(SAMPLE_DATA / "images" / name, in_tmp / name)
    for batch_size in (1, 7, 64):
        out = f"copies{batch_size}.parquet"
        ended = dfal(
            "score", "--images", in_tmp, "--checkpoint", CHECKPOINT, "--out", out, "--nearest", 20,
            "--batch-size", batch_size,
        )  # fmt: skip
        assert ended.code == 0
        assert queries(out, 20)[9:] == [f"copy{number:02d}.png" for number in range(11)]


def test_images_not_examined_are_skipped_and_the_metadata_hold_the_audit(in_tmp):
    told = score("s.parquet", "--nearest", 5, "--json").json
    table, metadata = read_scores(Path("s.parquet"))
    skipped = table[table["outcome"] == "skipped"]
    assert len(skipped) == told["counts"]["skipped"] > 0
    assert skipped["margin"].isna().all()
    assert (skipped["crossing_class"] == "").all()
    assert skipped["entropy"].notna().all()
    assert metadata["nearest"] == 5
    assert metadata["audit"] == told["audit"]


def test_select_refuses_a_count_above_nearest(in_tmp):
    score("s.parquet", "--nearest", 5)
    refused = dfal("select", "--scores", "s.parquet", "--count", 6, "--out", "q.csv")
    assert refused.code == 2
    assert "guarantees only the 5 smallest margins" in refused.stderr
    by_entropy = dfal("select", "--scores", "s.parquet", "--count", 6, "--out", "q.csv", "--strategy", "entropy")
    assert by_entropy.code == 0


def test_an_image_labelled_meanwhile_reduces_the_count_that_select_accepts(in_tmp):
    score("s.parquet", "--nearest", 5)
    write(in_tmp / "done.csv", "image,label", f"{queries('s.parquet', 1)[0]},circle")
    ended = dfal("select", "--scores", "s.parquet", "--labels", "done.csv", "--count", 5, "--out", "q.csv")
    assert (ended.code, "guarantees only the 4 smallest margins" in ended.stderr) == (2, True)


def test_an_image_deleted_meanwhile_reduces_the_count_that_select_accepts(in_tmp):
    shutil.copytree(SAMPLE_DATA / "images", "fewer")
    score("s.parquet", "--nearest", 5)
    for image in queries("s.parquet", 3):
        Path("fewer", image).unlink()
    ended = dfal("select", "--scores", "s.parquet", "--images", "fewer", "--count", 3, "--out", "q.csv")
    assert (ended.code, "guarantees only the 2 smallest margins" in ended.stderr) == (2, True), ended.stderr


def test_only_the_nearest_have_twins(in_tmp):
    assert score("s.parquet", "--nearest", 5, "--twins", 6).code == 2
    assert score("s.parquet", "--nearest", 5, "--twins", 5, "--json").json["counts"]["twins"] == 5
