"""Many image names, compared and looked up by their order, because a set of them would take as much memory again.

A column of names is held in Arrow, without a Python string for each.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Container, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

STEP = 64
"""One name in so many is held as a Python string."""


def row_of(names: Sequence[str], name: str) -> int:
    """Return the position of a name among sorted names; -1 if it is not among them."""
    row = bisect_left(names, name)
    return row if row < len(names) and names[row] == name else -1


def in_order(names: "pd.Series[str]") -> bool:
    """Return whether the names are sorted and different from each other."""
    column = pa.array(names)
    return pc.all(pc.less(column[:-1], column[1:]), skip_nulls=False, min_count=0).as_py() is True


def by_path(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the table sorted by a column of names, with a new index."""
    return (table if in_order(table[column]) else table.sort_values(column, kind="stable")).reset_index(drop=True)


def membership(names: "pd.Series[str]") -> Container[str]:
    """Return what tells by `in` whether a name is in the column; of a sorted one, it takes little memory."""
    return _SortedNames(names) if in_order(names) else frozenset(names)


class _SortedNames(Container[str]):
    def __init__(self, names: "pd.Series[str]") -> None:
        column = pa.array(names)
        self._names = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        self._some: list[str] = self._names.take(pa.array(np.arange(0, len(names), STEP))).to_pylist()

    def __contains__(self, name: object) -> bool:
        start = STEP * (bisect_right(self._some, str(name)) - 1)
        return start >= 0 and name in self._names[start : start + STEP].to_pylist()
