"""Rows, margins and measures, computed batch by batch or read from parts."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfal_cli.images import NO_MAX_VALUES
from dfal_cli.scoring.rows import MARGINS, MEASURED, OUTCOMES, Rows, no_margins
from dfal_cli.scoring.scored import PoolMargins, rechunked, score_all
from dfal_cli.scoring.scorer import ScoredBatch
from dfal_cli.system import parts as module
from dfal_cli.system.parts import Parts
from dfal_cli.system.progress import Progress
from dfal_cli.system.reporting import Silent


@settings(max_examples=50, deadline=None, derandomize=True)
@given(lengths=st.lists(st.integers(0, 7), max_size=8), size=st.integers(1, 9))
def test_rechunking_keeps_rows_and_order(lengths: list[int], size: int) -> None:
    rows = np.arange(3 * sum(lengths)).reshape(-1, 3)
    ends = np.cumsum([0, *lengths])
    blocks = [{"a": rows[start:end], "b": rows[start:end, 0]} for start, end in itertools.pairwise(ends)]
    groups = [group for group in rechunked(blocks, size) if group]
    assert all(len(group["a"]) == size for group in groups[:-1])
    for name, expected in (("a", rows), ("b", rows[:, 0])):
        found = np.concatenate([expected[:0], *(group[name] for group in groups)])
        np.testing.assert_array_equal(found, expected)


class Counting:
    """Stands where a Scorer does: the margin of an image is its number; it counts how many it has computed."""

    def __init__(self) -> None:
        self.reporter = Silent()
        self.computed = 0
        self.lost: dict[str, str] = {}

    def margins_of(
        self, images: Sequence[str], *, give_up_beyond: float, exact: bool
    ) -> Iterator[tuple[int, list[str], np.ndarray]]:
        """In batches of 3; the image 5.png cannot be read any more."""
        for start in range(0, len(images), 3):
            asked = images[start : start + 3]
            readable = [image for image in asked if image != "5.png"]
            self.lost |= {image: "vanished" for image in asked if image not in readable}
            margins = no_margins(len(readable))
            margins["margin"] = [float(image.removesuffix(".png")) for image in readable]
            margins["outcome"] = OUTCOMES.index("crossed")
            self.computed += len(asked)
            yield len(asked), readable, margins


class Flat(Counting):
    """Every image is one flat colour; batches are of 3."""

    def batches_of(self, images: Sequence[str], *, with_margins: bool, extra_measures: object) -> Iterator[ScoredBatch]:
        for start in range(0, len(images), 3):
            these = list(images[start : start + 3])
            self.computed += len(these)
            zeros = np.zeros(len(these), MEASURED)
            yield ScoredBatch(
                len(these), these, [], NO_MAX_VALUES, np.ones(len(these), bool), zeros, no_margins(len(these)), {}
            )


def test_flat_images_in_the_parts_of_an_earlier_call_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.0)
    monkeypatch.setattr(module, "SHARE", 1e9)
    for computed in (10, 0):
        scorer = Flat()
        section = Parts(tmp_path / "s.csv", {}).section("pool")
        rows, _ = score_all(scorer, [f"{number}.png" for number in range(10)], section, with_margins=False)
        assert (rows.flat, scorer.computed) == (10, computed)


def examining(folder: Path) -> tuple[PoolMargins, Counting]:
    scorer = Counting()
    rows = Rows([f"{number}.png" for number in range(10)], np.zeros(10, MEASURED), no_margins(10))
    return PoolMargins(scorer, rows, Parts(folder / "s.csv", {}).section("margins")), scorer


@pytest.fixture
def before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the parts of a call that has asked for the margins of 2 to 7, and of 0 and 1."""
    monkeypatch.setattr(module, "SECONDS", 0.0)
    monkeypatch.setattr(module, "SHARE", 1e9)
    pool, _ = examining(tmp_path)
    pool.add_margins(np.arange(2, 8), Progress("margins", None, "images"))
    pool.add_margins(np.arange(2), Progress("margins", None, "images"))
    return tmp_path


def test_the_same_margin_requests_compute_only_what_is_missing(before: Path) -> None:
    pool, scorer = examining(before)
    pool.add_margins(np.arange(2, 8), Progress("margins", None, "images"))
    pool.add_margins(np.arange(2), Progress("margins", None, "images"))
    assert (scorer.computed, scorer.lost) == (0, {"5.png": "vanished"})
    pool.add_margins(np.array([9, 8]), Progress("margins", None, "images"))
    assert scorer.computed == 2
    np.testing.assert_array_equal(pool.rows.margins["margin"], [0, 1, 2, 3, 4, np.nan, 6, 7, 8, 9])


def test_other_margin_requests_are_computed(before: Path) -> None:
    pool, scorer = examining(before)
    pool.add_margins(np.arange(2, 8), Progress("margins", None, "images"))
    pool.add_margins(np.array([1, 0]), Progress("margins", None, "images"))
    assert scorer.computed == 2
    np.testing.assert_array_equal(pool.rows.margins["margin"], [0, 1, 2, 3, 4, np.nan, 6, 7, np.nan, np.nan])


def test_ties_rank_by_row_and_rows_without_a_margin_do_not_rank() -> None:
    margins = no_margins(5)
    margins["margin"] = [2, 1, np.nan, 2, 1]
    rows = Rows(list("abcde"), np.zeros(5, MEASURED), margins)
    assert rows.by_margin().tolist() == [1, 4, 0, 3]
    assert margins.dtype == MARGINS


def test_rows_are_ordered_by_logit_gap_without_unknown_gaps() -> None:
    measured = np.zeros(5, MEASURED)
    measured["logit_gap"] = [3, np.nan, 1, 3, np.inf]
    rows = Rows(list("abcde"), measured, no_margins(5))
    assert rows.by_logit_gap().tolist() == [2, 0, 3]
    assert rows.by_logit_gap(np.array([4, 3, 2])).tolist() == [2, 3]
