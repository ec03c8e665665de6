"""k-means by scikit-learn, and one representative point per cluster (after Zhdanov, arXiv:1901.05954)."""

import warnings

import numpy as np
import numpy.typing as npt

from dfal_cli.strategies.centres import Distances, Vectors
from dfal_cli.strategies.pool import Positions
from dfal_cli.system.threads import one_thread

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
    nearest = representatives(*nearest_means(points, k_means(points, wanted, generator, weights)), wanted)
    nearest = nearest[nearest >= 0]
    heaviest = np.argsort(-weights, kind="stable")
    others = heaviest[~np.isin(heaviest, nearest)]
    return np.sort(np.concatenate([nearest, others[: wanted - len(nearest)]]))


def k_means(
    points: Vectors, clusters: int | Vectors, generator: np.random.Generator, weights: Weights | None = None
) -> Vectors:
    """Return the means, (k, d), of k clusters of points, (n, d), k <= n.

    clusters: k, or the initial means, (k, d). weights: (n,), positive; equal if None.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    count, initial = (clusters, "k-means++") if isinstance(clusters, int) else (len(clusters), clusters)
    seed = int(generator.integers(2**31))
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # points coincide
        fitted = KMeans(count, init=initial, n_init=1, max_iter=MAX_ITERATIONS, random_state=seed).fit(
            points, sample_weight=weights
        )
    means: Vectors = fitted.cluster_centers_
    return means


def nearest_means(points: Vectors, means: Vectors) -> tuple[Positions, Distances]:
    """Return the mean, of (k, d), nearest to each point, of (n, d), and its distance: (n,) each."""
    from sklearn.metrics import pairwise_distances_argmin_min

    clusters, distances = pairwise_distances_argmin_min(points, means)
    return clusters, distances


def representatives(clusters: Positions, distances: Distances, count: int) -> Positions:
    """Return the position of the point nearest to each of `count` means, (count,); -1 if its cluster is empty.

    clusters, distances: (n,), as of `nearest_means`. Ties are broken by position.
    """
    by_distance = np.lexsort((distances, clusters))
    found = by_distance[np.flatnonzero(np.diff(clusters[by_distance], prepend=-1))]
    positions = np.full(count, -1)
    positions[clusters[found]] = found
    return positions
