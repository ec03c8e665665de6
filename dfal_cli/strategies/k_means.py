"""Weighted k-means, and one representative point per cluster (after Zhdanov, arXiv:1901.05954)."""

import numpy as np
import numpy.typing as npt

from dfal_cli.strategies.centres import NO_CENTRE, Distances, Vectors, add_centre, in_blocks
from dfal_cli.strategies.pool import Positions

MAX_ITERATIONS = 50
"""Of Lloyd's algorithm, which usually converges in 10 to 20 iterations."""

MIN_MARGIN = 1e-12
"""Smaller margins are raised to this value, so that sums of their inverses stay finite."""

Weights = npt.NDArray[np.floating]


def k_means_representatives(points: Vectors, weights: Weights, count: int, generator: np.random.Generator) -> Positions:
    """Return the point nearest to the mean of each of `count` clusters of points, (n, d), in order of position.

    weights: (n,), positive; used for the means and for the choice of the initial means (k-means++).
    If coinciding points lead to fewer clusters, the other points with the largest weights are added.
    """
    wanted = min(count, len(points))
    points = points - points.mean(0, dtype=np.float64).astype(np.float32)  # centring reduces rounding errors
    means = points[_seeds(points, weights, wanted, generator)]
    clusters = np.full(len(points), -1)
    for _ in range(MAX_ITERATIONS):
        before, clusters = clusters, _nearest(points, means)
        if (clusters == before).all():
            break
        means = _means(points, weights, clusters, means)
    distances = ((points - means[clusters]) ** 2).sum(1)
    by_distance = np.lexsort((distances, clusters))
    nearest = by_distance[np.flatnonzero(np.diff(clusters[by_distance], prepend=-1))]
    heaviest = np.argsort(-weights, kind="stable")
    others = heaviest[~np.isin(heaviest, nearest)]
    return np.sort(np.concatenate([nearest, others[: wanted - len(nearest)]]))


def _seeds(points: Vectors, weights: Weights, count: int, generator: np.random.Generator) -> list[int]:
    """Draw initial means by k-means++: probabilities are weight times squared distance to the nearest mean so far."""

    def distances_from(centre: int, rows: Positions) -> Distances:
        squares: Distances = ((points[rows] - points[centre]) ** 2).sum(1, dtype=np.float64)
        return squares

    distances = np.full(len(points), NO_CENTRE)
    chances = weights
    picked: list[int] = []
    while len(picked) < count and chances.sum() > 0:
        picked.append(int(generator.choice(len(points), p=chances / chances.sum())))
        add_centre(distances, picked[-1], distances_from, points.shape[1])
        chances = weights * distances
    return picked


def _nearest(points: Vectors, means: Vectors) -> Positions:
    """Return the nearest mean of each point: (n, d), (k, d) -> (n,)."""
    lengths, across = (means**2).sum(1), -2 * means.T
    blocks = in_blocks(np.arange(len(points)), max(means.shape))
    return np.concatenate([(points[rows] @ across + lengths).argmin(1) for rows in blocks])


def _means(points: Vectors, weights: Weights, clusters: Positions, before: Vectors) -> Vectors:
    """Return the weighted mean of each cluster, (k, d); the mean of an empty cluster is kept."""
    by_cluster = np.argsort(clusters, kind="stable")
    found, starts = np.unique(clusters[by_cluster], return_index=True)
    own = weights[by_cluster]
    sums = np.add.reduceat(points[by_cluster] * own[:, None], starts, axis=0)
    means = before.copy()
    means[found] = sums / np.add.reduceat(own, starts)[:, None]
    return means
