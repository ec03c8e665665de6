"""What the strategies that spread their picks share: each pick becomes a centre, and the nearest centre counts."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from dfal_cli.strategies.pool import Pool, Positions

Vectors = npt.NDArray[np.float32]
Distances = npt.NDArray[np.float64]
"""Squared distances."""

UNKNOWN = np.finfo(np.float64).max
"""The distance to the nearest centre while there is none."""
UNMOVED = 0.2499
"""A quarter, less what rounding may take."""
TOO_LONG = 1e30
"""Squared length of a vector of which nothing can be computed in float32; nor can it of nan."""
BLOCK_BYTES = 2**18
"""Rows are looked at in blocks that stay in a processor's cache."""


def among_known(pool: Pool, measures: Sequence[str], pick: Callable[..., Positions], count: int) -> Positions:
    """What `pick` picks among the rows whose measures are all known, and then the others, in their order.

    pick: one array (n, d) per measure, d = 1 for numbers -> positions in them, at most `count`.
    """
    vectors = [np.stack(pool.scores[measure].to_list()).reshape(len(pool.scores), -1) for measure in measures]
    usable = np.logical_and.reduce([np.einsum("ij,ij->i", values, values) < TOO_LONG for values in vectors])
    if usable.all():  # as a rule; a pool is too large to be copied for nothing
        return pick(*vectors)
    known = np.flatnonzero(usable)
    picked = pick(*(values[known] for values in vectors)) if len(known) else known
    return np.concatenate([known[picked], np.flatnonzero(~usable)])[:count]


def add_centre(
    distances: Distances, pick: int, distances_from: Callable[[int, Positions], Distances], width: int
) -> None:
    """Make row `pick` a centre: bring `distances`, (n,), to the nearest centre up to date.

    distances_from: a row, other rows -> their squared distances to it; it is given as many as fit into a cache, at
    `width` numbers a row.
    """
    # No other centre is nearer to the new one than distances[pick]. By the triangle inequality a point that is nearer
    # to its own centre than half that length (a quarter of its square) stays with it, and is not looked at.
    rows = np.flatnonzero(distances > UNMOVED * distances[pick])
    for some in in_blocks(rows, width):
        distances[some] = np.minimum(distances[some], distances_from(pick, some))


def in_blocks(rows: Positions, width: int) -> Iterator[Positions]:
    """The rows in blocks that fit into a cache, at `width` float32 numbers a row."""
    size = max(1, BLOCK_BYTES // (4 * width))
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def then_by_path(picked: Sequence[int], total: int, count: int) -> Positions:
    """The picked positions, filled up to `count` of `total` with those that are left, in their order."""
    chosen = np.array(picked, dtype=np.intp)
    return np.concatenate([chosen, np.setdiff1d(np.arange(total), chosen)])[:count]
