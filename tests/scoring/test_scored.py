"""Rows, margins and measures, computed batch by batch or read from parts."""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfal_cli.images import NO_MAX_VALUES
from dfal_cli.scoring.reading import reading_arrays
from dfal_cli.scoring.rows import MARGINS, MEASURED, OUTCOMES, Rows, no_margins
from dfal_cli.scoring.scored import PoolMargins, rechunked, score_all
from dfal_cli.scoring.scorer import Examined
from dfal_cli.scoring.works import MARGINS as MARGINS_ARRAY
from dfal_cli.scoring.works import ROWS
from dfal_cli.system import parts as module
from dfal_cli.system.crew import Task
from dfal_cli.system.part_files import Arrays
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
    """Stands where the works of scoring do: the margin of an image is its number, and every image is one flat colour.

    It counts the images that it has computed. The image 5.png cannot be read any more.
    """

    def __init__(self) -> None:
        self.computed = 0

    def margins(self, work: str, tasks: Iterable[Task], **settings: object) -> Iterator[tuple[Task, Examined]]:
        for task in tasks:
            readable = [image for image in task.images if image != "5.png"]
            margins = no_margins(len(readable))
            margins["margin"] = [float(image.removesuffix(".png")) for image in readable]
            margins["outcome"] = OUTCOMES.index("crossed")
            self.computed += len(task.images)
            yield task, Examined(readable, margins, [(image, "vanished") for image in task.images if image == "5.png"])

    def score(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Arrays]]:
        for task in tasks:
            count = len(task.images)
            self.computed += count
            reading = reading_arrays(task, [], NO_MAX_VALUES, np.ones(count, bool))
            yield task, {ROWS: np.zeros(count, MEASURED), MARGINS_ARRAY: no_margins(count), **reading}


def test_flat_images_in_the_parts_of_an_earlier_call_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.0)
    monkeypatch.setattr(module, "SHARE", 1e9)
    for computed in (10, 0):
        counting = Counting()
        section = Parts(tmp_path / "s.csv", {}).section("pool")
        rows, _ = score_all([f"{number}.png" for number in range(10)], 3, section, counting.score, Silent())
        assert (rows.flat, counting.computed) == (10, computed)


def test_tasks_may_arrive_in_any_order(tmp_path: Path) -> None:
    counting = Counting()

    def backwards(tasks: Iterable[Task]) -> Iterator[tuple[Task, Arrays]]:
        yield from reversed(list(counting.score(tasks)))

    images = [f"{number}.png" for number in range(10)]
    parts = Parts(tmp_path / "s.csv", {})
    rows, _ = score_all(images, 3, parts.section("pool"), backwards, Silent())
    assert (rows.images, rows.flat) == (images, 10)
    parts.write()
    assert [part.name for part in sorted(parts.folder.iterdir())] == ["pool-0000000000.part"]


def examining(folder: Path) -> tuple[PoolMargins, Counting]:
    counting = Counting()
    rows = Rows([f"{number}.png" for number in range(10)], np.zeros(10, MEASURED), no_margins(10))
    section = Parts(folder / "s.csv", {}).section("margins")
    return PoolMargins(counting.margins, 3, rows, section, Silent()), counting


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
    pool, counting = examining(before)
    pool.add_margins(np.arange(2, 8), Progress("margins", None, "images"))
    pool.add_margins(np.arange(2), Progress("margins", None, "images"))
    assert (counting.computed, pool.lost) == (0, {"5.png": "vanished"})
    pool.add_margins(np.array([9, 8]), Progress("margins", None, "images"))
    assert counting.computed == 2
    np.testing.assert_array_equal(pool.rows.margins["margin"], [0, 1, 2, 3, 4, np.nan, 6, 7, 8, 9])


def test_other_margin_requests_are_computed(before: Path) -> None:
    pool, counting = examining(before)
    pool.add_margins(np.arange(2, 8), Progress("margins", None, "images"))
    pool.add_margins(np.array([1, 0]), Progress("margins", None, "images"))
    assert counting.computed == 2
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
