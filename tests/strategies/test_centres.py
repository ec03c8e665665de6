"""Vectors of a pool as a matrix: without a copy where they are one already."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from dfal_cli.strategies.centres import as_matrix

ROWS = np.random.default_rng(0).standard_normal((7, 3), np.float32)


@pytest.mark.parametrize(
    ("cells", "is_view"),
    [
        (list(ROWS), True),
        (list(ROWS[2:5]), True),
        ([ROWS[1]], True),
        ([ROWS[0], ROWS[2], ROWS[3]], False),
        ([ROWS[1], ROWS[0]], False),
        ([ROWS[0], ROWS[0]], False),
        ([*ROWS[:3], np.full(3, np.nan, np.float32)], False),
        (list(ROWS[:, :2]), False),
        (list(ROWS.T), False),
        ([row.copy() for row in ROWS], False),
    ],
)
def test_successive_rows_of_one_array_are_not_copied(cells: Sequence[np.ndarray], is_view: bool) -> None:
    matrix = as_matrix(cells)
    np.testing.assert_array_equal(matrix, np.stack(cells))
    assert np.shares_memory(matrix, ROWS) == is_view
    assert matrix.flags.writeable != is_view


@pytest.mark.parametrize("cells", [[0.5, 2.0, 1.0], [np.float32(3)]])
def test_numbers_are_a_column(cells: list[Any]) -> None:
    np.testing.assert_array_equal(as_matrix(cells), np.array(cells)[:, None])
