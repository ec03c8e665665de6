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


def rows_where(table: pd.DataFrame, mask: "pd.Series[bool]") -> pd.DataFrame:
    """Return these rows with a new index; table[mask] would copy all names once more on the way."""
    return pd.DataFrame({name: table[name].array[mask.to_numpy()] for name in table})


def membership(names: "pd.Series[str]") -> Container[str]:
    """Return what tells by `in` whether a name is in the column; of a sorted one, it takes little memory."""
    return _SortedNames(names) if in_order(names) else frozenset(names)


class _SortedNames(Container[str]):
    def __init__(self, names: "pd.Series[str]") -> None:
        column = pa.array(names)
        self._names = column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
        self._some: list[str] = []
        self._rows: list[int] = []
        before = 0
        for chunk in self._names.chunks:  # one at a time: taking rows of several would copy all of them
            rows = np.arange(0, len(chunk), STEP)
            self._some += chunk.take(pa.array(rows)).to_pylist()
            self._rows += (before + rows).tolist()
            before += len(chunk)

    def __contains__(self, name: object) -> bool:
        place = bisect_right(self._some, str(name)) - 1
        return place >= 0 and name in self._names.slice(self._rows[place], STEP).to_pylist()
