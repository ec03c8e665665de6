"""k-center greedy: each pick is the point farthest from all centres so far (Sener and Savarese, arXiv:1708.00489).

The largest remaining distance is at most twice that of the optimal choice of centres. Only distances to the nearest
centre are stored. They are sums of squared differences, as |a|^2 + |b|^2 - 2ab would lose small ones to rounding.
"""

import numpy as np
import numpy.typing as npt

from dfal_cli.strategies.centres import NO_CENTRE, Distances, Vectors, add_centre, in_blocks, then_by_path
from dfal_cli.strategies.pool import Positions


def k_center_greedy(points: Vectors, centres: Vectors | None, count: int) -> Positions:
    """Pick `count` of the points, (n, d), given initial centres, (m, d); ties are broken by position.

    Without centres, the first pick is the point nearest to the mean, a good single centre; the bound holds for any
    first pick. Points that coincide with a centre come last.
    """

    def distances_from(centre: int, rows: Positions) -> Distances:
        return _squares(points[rows] - points[centre])

    wanted = min(count, len(points))
    if centres is not None and len(centres):
        distances = distances_to_nearest(points, centres)
        pick = int(distances.argmax())
    else:
        distances = np.full(len(points), NO_CENTRE)
        pick = _nearest_to_mean(points)
    picked: list[int] = []
    while len(picked) < wanted and distances[pick] > 0:
        picked.append(pick)
        add_centre(distances, pick, distances_from, points.shape[1])
        pick = int(distances.argmax())
    return then_by_path(picked, len(points), wanted)


def distances_to_nearest(points: Vectors, centres: Vectors) -> Distances:
    """Return squared distances, (n,), from each point to the nearest of many centres.

    scikit-learn finds the nearest centre by matrix products in float64; the difference then gives its exact distance.
    """
    from sklearn.metrics import pairwise_distances_argmin

    nearest = pairwise_distances_argmin(points, centres)
    blocks = in_blocks(np.arange(len(points)), points.shape[1])
    return np.concatenate([_squares(points[rows] - centres[nearest[rows]]) for rows in blocks]).astype(np.float64)


def _nearest_to_mean(points: Vectors) -> int:
    mean = points.mean(0, dtype=np.float64)
    blocks = in_blocks(np.arange(len(points)), points.shape[1])
    return int(np.concatenate([_squares(points[rows] - mean) for rows in blocks]).argmin())


def _squares(vectors: npt.NDArray[np.floating]) -> Distances:
    """Return squared lengths: (n, d) -> (n,)."""
    lengths: Distances = np.einsum("ij,ij->i", vectors, vectors)
    return lengths
