"""Uncertainty-weighted kernel coverage (after Bae and others, arXiv:2412.20644, "Uncertainty Herding").

The coverage of the pool by the labelled and picked images C is

    coverage(C) = sum_i u_i max_{c in C} k(x_i, c),    k(x, c) = exp(-|x - c|^2 / s^2),

where u_i is the uncertainty of image i and x_i its embedding, as a direction from the mean of the pool. Each pick is
the image with the largest gain of coverage. Coverage is submodular: gains never grow, so an outdated gain is an upper
bound, and most gains need not be computed again (lazy greedy; Minoux 1978). The result is at least 1 - 1/e of the
optimal coverage.

The width s is the median distance of a pool image to the nearest labelled one. It shrinks with more labels, so that
the first query lists spread over the whole pool and later ones follow the uncertainty.

Coverage is measured on a random sample of the pool, and candidates are another sample, so that time and memory do not
grow with the square of the pool. A pool of up to SAMPLE images is used completely.
"""

import numpy as np
import numpy.typing as npt

from dfal_cli.strategies.centres import Vectors
from dfal_cli.strategies.directions import Directions
from dfal_cli.strategies.pool import Positions

SAMPLE = 8_192
"""Maximum number of images on which coverage is measured."""
CANDIDATES = 16_384
"""Maximum number of candidates. The kernel of candidates and sample takes up to 0.5 GB of memory."""
ROWS_PER_BLOCK = 256
ROWS_FOR_WIDTH = 2_048
"""Maximum number of candidates whose distances determine the width, if nothing is labelled."""

Numbers = npt.NDArray[np.float64]


def greedy_coverage(
    points: Vectors, uncertainty: npt.NDArray[np.floating], covered_by: Vectors | None, count: int,
    generator: np.random.Generator,
) -> Positions:  # fmt: skip
    """Pick `count` of the points, (n, d), that cover them best together with the vectors `covered_by`, (m, d).

    uncertainty: (n,), at least 0. If it is 0 everywhere, as of a head that has seen only one class, all points count
    the same. Ties are broken by position. If no point adds coverage, the most uncertain follow.
    """
    sample = drawn(len(points), SAMPLE, generator)
    candidates = drawn(len(points), CANDIDATES, generator)
    weights = uncertainty[sample].astype(np.float64)
    if not weights.any():
        weights = np.ones(len(sample))
    directions = Directions.from_mean_of(points[sample])
    labelled = directions.of(covered_by) if covered_by is not None and len(covered_by) else None
    kernel, covered = _kernel(directions.of(points[candidates]), directions.of(points[sample]), labelled)
    picked = candidates[_greedy(kernel, covered, weights, min(count, len(candidates)))]
    most_uncertain = np.argsort(-uncertainty, kind="stable")
    others = most_uncertain[~np.isin(most_uncertain, picked)]
    return np.concatenate([picked, others])[:count]


def drawn(total: int, count: int, generator: np.random.Generator) -> Positions:
    """Return a sorted random sample of `count` positions, or all positions if there are no more."""
    if total <= count:
        return np.arange(total)
    return np.sort(generator.choice(total, count, replace=False))


def _kernel(candidates: Vectors, sample: Vectors, labelled: Vectors | None) -> tuple[Vectors, Numbers]:
    """Return k(candidate, sample), (c, n), and the coverage of the sample by the labelled vectors, (n,)."""
    squares = _squared_distances(candidates, sample)
    if labelled is None:
        nearest = np.full(len(sample), np.inf)
        width = float(np.median(squares[:: -(-len(squares) // ROWS_FOR_WIDTH)]))  # median copies what it is given
    else:
        nearest = _squared_distances(sample, labelled).min(1).astype(np.float64)
        width = float(np.median(nearest))
    width = width or 1.0  # 0 if all points coincide
    squares /= -width
    return np.exp(squares, out=squares), np.exp(-nearest / width)


def _squared_distances(some: Vectors, others: Vectors) -> Vectors:
    """Return squared distances: (a, d), (b, d) -> (a, b)."""
    products = some @ others.T
    products *= -2
    products += np.einsum("ij,ij->i", some, some)[:, None]
    products += np.einsum("ij,ij->i", others, others)
    np.maximum(products, 0, out=products)  # rounding may make them negative
    return products


def _greedy(kernel: Vectors, covered: Numbers, weights: Numbers, count: int) -> Positions:
    """Return the rows of the kernel picked in turn, up to `count`, while they add coverage."""
    gains = np.concatenate(
        [
            np.maximum(kernel[start : start + ROWS_PER_BLOCK] - covered, 0) @ weights
            for start in range(0, len(kernel), ROWS_PER_BLOCK)
        ]
    )
    picked: list[int] = []
    while len(picked) < count:
        best = int(gains.argmax())
        gain = float(np.maximum(kernel[best] - covered, 0) @ weights)
        if gain < gains[best]:
            gains[best] = gain
            continue
        if gain <= 0:
            break
        picked.append(best)
        covered = np.maximum(covered, kernel[best])
        gains[best] = -1
    return np.array(picked, np.intp)
