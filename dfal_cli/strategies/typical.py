"""Typical images: k-means clusters of the embeddings, one representative each, for a list before anything is trained.

One typical image per cluster is the idea of TypiClust (Hacohen, Dekel, Weinshall, arXiv:2202.02794); here it is the
image nearest to the mean. The k-means starts from images that cover the pool (`greedy_coverage` without uncertainty;
Bae and others, arXiv:2407.12212). They make better clusters than k-means++, and they come in an order: a person who
labels only the beginning of the list loses little.
"""

import numpy as np

from dfal_cli.strategies.centres import Vectors, then_by_path
from dfal_cli.strategies.directions import Directions
from dfal_cli.strategies.k_means import k_means, nearest_means, representatives
from dfal_cli.strategies.kernel_coverage import drawn, greedy_coverage
from dfal_cli.strategies.pool import Positions

SAMPLE = 16_384
"""Maximum number of points that are clustered. Representatives are looked for among all points."""
ROWS_AT_ONCE = 8_192


def typical_points(points: Vectors, labelled: Vectors | None, count: int, generator: np.random.Generator) -> Positions:
    """Return `count` of the points, (n, d): the nearest to the mean of each cluster, in the order of their coverage.

    labelled: (m, d). Points nearer to one of these than to the start of any cluster are in none. If there are fewer
    clusters because points coincide, other points follow in order of position.
    """
    wanted = min(count, len(points))
    part = points[drawn(len(points), max(SAMPLE, wanted), generator)]
    directions = Directions.from_mean_of(part)
    sample, known = directions.of(part), directions.of(points[:0] if labelled is None else labelled)
    starts = sample[greedy_coverage(part, np.ones(len(part)), labelled, wanted, generator)]
    nearest = nearest_means(sample, np.concatenate([known, starts]))[0] - len(known)
    nonempty = np.unique(nearest[nearest >= 0])  # others coincide with another start, or with a labelled image
    if not len(nonempty):
        return np.arange(wanted)
    means = k_means(sample[nearest >= 0], starts[nonempty], generator)
    centres = np.concatenate([known, means])
    blocks = (directions.of(points[start : start + ROWS_AT_ONCE]) for start in range(0, len(points), ROWS_AT_ONCE))
    clusters, distances = map(np.concatenate, zip(*(nearest_means(block, centres) for block in blocks), strict=True))
    found = representatives(clusters, distances, len(centres))[len(known) :]
    return then_by_path(found[found >= 0].tolist(), len(points), wanted)
