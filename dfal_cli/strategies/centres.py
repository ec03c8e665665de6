"""Shared functions of the diversity strategies, which treat picked images as centres and track the nearest centre."""

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dfal_cli.strategies.pool import Pool, Positions

Vectors = npt.NDArray[np.float32]
Distances = npt.NDArray[np.float64]
"""Squared distances."""

NO_CENTRE = np.finfo(np.float64).max
"""The squared distance to the nearest centre while there is no centre."""
UNCHANGED_SHARE = 0.2499
"""A quarter, minus a reserve for rounding."""
MAX_SQUARED_LENGTH = 1e30
"""Distances of longer vectors overflow in float32."""
BLOCK_BYTES = 2**18
"""Size of blocks of rows that fit into a processor's cache."""


def pick_among_known(pool: Pool, measures: Sequence[str], pick: Callable[..., Positions], count: int) -> Positions:
    """Return the picks among the rows whose measures are all known, followed by the other rows in their order.

    pick: one array (n, d) per measure, with d = 1 for numbers -> positions in them, at most `count`.
    """
    vectors = [as_matrix(pool.scores[measure].to_list()) for measure in measures]
    usable = np.logical_and.reduce([np.einsum("ij,ij->i", values, values) < MAX_SQUARED_LENGTH for values in vectors])
    if usable.all():  # the usual case, in which the vectors need not be copied
        return pick(*vectors)
    known = np.flatnonzero(usable)
    picked = pick(*(values[known] for values in vectors)) if len(known) else known
    return np.concatenate([known[picked], np.flatnonzero(~usable)])[:count]


def as_matrix(cells: Sequence[Any]) -> Vectors:
    """Return n numbers as a matrix (n, 1), or n vectors of d numbers as (n, d).

    The vectors of a large pool may fill the memory. If they are successive rows of one array, the result is a view of
    it, which cannot be written.
    """
    first = cells[0]
    if not (isinstance(first, np.ndarray) and first.base is not None and _are_successive(cells)):
        return np.stack(cells).reshape(len(cells), -1)
    shape, steps = (len(cells), len(first)), (first.nbytes, first.itemsize)
    return np.lib.stride_tricks.as_strided(first, shape, steps, writeable=False)


def _are_successive(vectors: Sequence[Vectors]) -> bool:
    """Return whether vectors, each (d,), are views of one array that lie one behind the other in memory."""
    first = vectors[0]
    places = (vector.__array_interface__ for vector in vectors)
    start, kind = first.__array_interface__["data"][0], first.__array_interface__["typestr"]
    expected = ((start + number * first.nbytes, None, first.shape, kind) for number in range(len(vectors)))
    found = ((each["data"][0], each["strides"], each["shape"], each["typestr"]) for each in places)
    return all(map(operator.eq, found, expected)) and all(vector.base is first.base for vector in vectors)


def add_centre(
    distances: Distances, pick: int, distances_from: Callable[[int, Positions], Distances], width: int
) -> None:
    """Make row `pick` a centre, and update the squared `distances`, (n,), to the nearest centre.

    distances_from: (row, other rows) -> their squared distances to the row, (len(other rows),).
    width: numbers per row, which determines how many rows fit into the cache.
    """
    # The nearest centre to the new one is at distances[pick]. By the triangle inequality, a point nearer to its own
    # centre than half that length (a quarter of its square) keeps its centre and needs no update.
    rows = np.flatnonzero(distances > UNCHANGED_SHARE * distances[pick])
    for block in in_blocks(rows, width):
        distances[block] = np.minimum(distances[block], distances_from(pick, block))


def in_blocks(rows: Positions, width: int) -> Iterator[Positions]:
    """Yield the rows in blocks that fit into the cache, with `width` float32 numbers per row."""
    size = max(1, BLOCK_BYTES // (4 * width))
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def then_by_path(picked: Sequence[int], total: int, count: int) -> Positions:
    """Return the picked positions, filled up to `count` with the remaining of `total` positions in order."""
    chosen = np.array(picked, dtype=np.intp)
    return np.concatenate([chosen, np.setdiff1d(np.arange(total), chosen)])[:count]
