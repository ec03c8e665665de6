"""Weighted k-means, and one point for each cluster (after Zhdanov, arXiv:1901.05954)."""

import numpy as np
import numpy.typing as npt

from dfal_cli.strategies.centres import UNKNOWN, Distances, Vectors, add_centre, in_blocks
from dfal_cli.strategies.pool import Positions

MOST_ROUNDS = 50
"""Of Lloyd's: as a rule the clusters stand still after ten or twenty."""

SMALLEST = 1e-12
"""What a weight may be the inverse of: nothing is lost of a margin, and sums stay finite."""

Weights = npt.NDArray[np.floating]


def k_means_representatives(points: Vectors, weights: Weights, count: int, generator: np.random.Generator) -> Positions:
    """For each of `count` clusters of the points, (n, d), the point nearest to its mean; in order of position.

    weights: (n,), positive. A mean is drawn towards its heavy points, and so is the choice of the first means
    (k-means++). Where points coincide there are fewer clusters, and the heaviest of the other points fill up.
    """
    wanted = min(count, len(points))
    points = points - points.mean(0, dtype=np.float64).astype(np.float32)  # products then round little away
    means = points[_seeds(points, weights, wanted, generator)]
    clusters = np.full(len(points), -1)
    for _ in range(MOST_ROUNDS):
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
    """k-means++: each drawn by its weight times its squared distance from the nearest one so far."""

    def distances_from(centre: int, rows: Positions) -> Distances:
        squares: Distances = ((points[rows] - points[centre]) ** 2).sum(1, dtype=np.float64)
        return squares

    distances = np.full(len(points), UNKNOWN)
    chances = weights
    picked: list[int] = []
    while len(picked) < count and chances.sum() > 0:
        picked.append(int(generator.choice(len(points), p=chances / chances.sum())))
        add_centre(distances, picked[-1], distances_from, points.shape[1])
        chances = weights * distances
    return picked


def _nearest(points: Vectors, means: Vectors) -> Positions:
    """The nearest mean of each point: (n, d), (k, d) -> (n,)."""
    lengths, across = (means**2).sum(1), -2 * means.T
    blocks = in_blocks(np.arange(len(points)), max(means.shape))
    return np.concatenate([(points[rows] @ across + lengths).argmin(1) for rows in blocks])


def _means(points: Vectors, weights: Weights, clusters: Positions, before: Vectors) -> Vectors:
    """The weighted mean of each cluster, (k, d); an empty one stays where it was."""
    by_cluster = np.argsort(clusters, kind="stable")
    found, starts = np.unique(clusters[by_cluster], return_index=True)
    own = weights[by_cluster]
    sums = np.add.reduceat(points[by_cluster] * own[:, None], starts, axis=0)
    means = before.copy()
    means[found] = sums / np.add.reduceat(own, starts)[:, None]
    return means
