"""Images with identical or nearly identical embeddings: copies of one photo, of which one label is enough."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from dfal_cli.strategies.centres import Vectors
from dfal_cli.strategies.pool import Positions

NEAR = 0.3
"""Largest distance of near copies, as a share of the median distance of an image to the one nearest to it.

Photos that are saved again, in less quality or a little brighter, are within it (tests/experiments/README.md#review).
"""
SAMPLE = 1024
"""Number of images by which the median distance is found, and of rows that are compared at a time."""


def first_copies(embeddings: Sequence[Vectors]) -> Positions:
    """Return the positions of the embeddings, each (d,), that are unknown (nan) or not identical to an earlier one."""
    digests = [hashlib.blake2b(vector.tobytes(), digest_size=16).digest() for vector in embeddings]
    _, first = np.unique(digests, return_index=True)
    unknown = [position for position, vector in enumerate(embeddings) if np.isnan(vector).any()]
    return np.union1d(first, np.array(unknown, np.intp))


def copy_groups(embeddings: Vectors) -> Positions:
    """Return the number of the group of each embedding of unit length, (n, d) -> (n,): near copies are in one group.

    Identical embeddings are copies in any case. A copy of a copy is in the same group.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    distinct, place = np.unique(embeddings, axis=0, return_inverse=True)
    count = len(distinct)
    if count < 2:
        return np.zeros(len(embeddings), np.intp)
    sample = np.arange(0, count, -(-count // SAMPLE))
    _, squares = next(_distances(distinct, sample))
    limit = NEAR**2 * np.median(squares.min(1))
    pairs = [np.empty((2, 0), np.intp)]
    for rows, squares in _distances(distinct, np.arange(count)):
        near, other = np.nonzero(squares <= limit)
        pairs.append(np.stack([rows[near], other]))
    first, second = np.concatenate(pairs, axis=1)
    graph = coo_array((np.ones(len(first), bool), (first, second)), (count, count))
    group: Positions = connected_components(graph, directed=False)[1].astype(np.intp)
    return group[place.reshape(-1)]


def _distances(embeddings: Vectors, rows: Positions) -> Iterator[tuple[Positions, Vectors]]:
    """Yield some of the rows, and their squared distances to all embeddings, (b, n): infinite to themselves."""
    for start in range(0, len(rows), SAMPLE):
        block = rows[start : start + SAMPLE]
        squares = 2 - 2 * embeddings[block] @ embeddings.T
        squares[np.arange(len(block)), block] = np.inf
        yield block, squares
