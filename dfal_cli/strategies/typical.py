"""Typical images: k-means clusters of the embeddings, one representative each, for a list before anything is trained.

One typical image per cluster is the idea of TypiClust (Hacohen, Dekel, Weinshall, arXiv:2202.02794); here it is the
image nearest to the mean. The k-means starts from images that cover a random half of the pool (`greedy_coverage`
without uncertainty; Bae and others, arXiv:2407.12212). They make better clusters than k-means++, and they come in an
order: a person who labels only the beginning of the list loses little.
"""

import numpy as np

from dfal_cli.strategies.centres import Vectors, then_by_path
from dfal_cli.strategies.k_means import k_means, representatives
from dfal_cli.strategies.kernel_coverage import drawn, greedy_coverage
from dfal_cli.strategies.pool import Positions
from dfal_cli.tables.vectors import unit_length

SAMPLE = 16_384
"""Maximum number of points that are clustered. Representatives are looked for among all points."""


def typical_points(points: Vectors, labelled: Vectors | None, count: int, generator: np.random.Generator) -> Positions:
    """Return `count` of the points, (n, d): the nearest to the mean of each cluster, in the order of their coverage.

    labelled: (m, d). Points nearer to one of these than to the start of any cluster are in none. If there are fewer
    clusters because points coincide, other points follow in order of position.
    """
    from sklearn.metrics import pairwise_distances_argmin

    points = unit_length(points)
    known = points[:0] if labelled is None else unit_length(labelled)
    wanted = min(count, len(points))
    sample = points[drawn(len(points), max(SAMPLE, 2 * wanted), generator)]
    half = sample[drawn(len(sample), max(wanted, len(sample) // 2), generator)]
    starts = half[greedy_coverage(half, np.ones(len(half)), known, wanted, generator)]
    nearest = pairwise_distances_argmin(sample, np.concatenate([known, starts])) - len(known)
    nonempty = np.unique(nearest[nearest >= 0])  # others coincide with another start, or with a labelled image
    if not len(nonempty):
        return np.arange(wanted)
    means = k_means(sample[nearest >= 0], starts[nonempty], generator)
    found = representatives(points, np.concatenate([known, means]))[len(known) :]
    return then_by_path(found[found >= 0].tolist(), len(points), wanted)
