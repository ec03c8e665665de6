"""The continuation of a learning curve: accuracy(n) = a - b n^-c, an inverse power law with a ceiling.

The law is what learning curves of classifiers follow in most studies (Viering and Loog, arXiv:2103.10948). It is fitted
by weighted least squares with scipy. The interval of the labels that an accuracy needs comes from a parametric
bootstrap: accuracies are drawn anew around the fitted curve and the law is fitted to each draw.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dfal_cli.statistics.intervals import CONFIDENCE, Interval

MIN_POINTS = 5
"""Two more than the law has parameters."""

RESAMPLES = 200

WIDENING = 1.5
"""Factor by which the interval is widened, in the logarithm of the number of labels.

Without it, the interval holds the truth in 82 % of the curves of tests/experiments/forecast, with it in 95 %.
"""

EXPONENTS = (0.1, 1.0)
"""Limits of c."""

STARTS = (0.3, 0.7)
"""Values of c from which the fit begins; the best result counts."""

FARTHEST = 100.0
"""A number of labels that is more than this multiple of the present one counts as infinite."""

Numbers = npt.NDArray[np.float64]


class Law(NamedTuple):
    """accuracy(n) = ceiling - scale * (n / unit)^-exponent; unit: the number of labels of the last point."""

    ceiling: float
    scale: float
    exponent: float
    unit: float

    def at(self, labels: Numbers) -> Numbers:
        """Return the accuracy after so many labels."""
        accuracies: Numbers = self.ceiling - self.scale * (labels / self.unit) ** -self.exponent
        return accuracies

    def labels_for(self, accuracy: float) -> float:
        """Return the number of labels at which the curve reaches an accuracy; infinite if it lies above the ceiling."""
        if self.ceiling <= accuracy or self.scale <= 0:
            return math.inf
        ratio = ((self.ceiling - accuracy) / self.scale) ** (-1 / self.exponent)
        return self.unit * ratio if ratio < FARTHEST else math.inf


class Forecast(NamedTuple):
    """The number of labels in total that an accuracy needs."""

    labels: float
    """Infinite if the fitted curve does not reach the accuracy."""
    interval: Interval
    law: Law


def fit(labels: Numbers, accuracies: Numbers, deviations: Numbers, start: Law | None = None) -> Law:
    """Fit the law to n points by least squares, weighted by the standard deviation of each accuracy.

    0 <= a <= 1, b >= 0, and c is within EXPONENTS. start: a law close to the result.
    """
    from scipy.optimize import least_squares

    unit = float(labels[-1])
    logs = np.log(labels / unit)

    def residuals(values: Numbers) -> Numbers:
        ceiling, scale, exponent = values
        misfit: Numbers = (ceiling - scale * np.exp(-exponent * logs) - accuracies) / deviations
        return misfit

    def jacobian(values: Numbers) -> Numbers:
        _, scale, exponent = values
        power = np.exp(-exponent * logs)
        return np.stack([np.ones_like(logs), -power, scale * logs * power], axis=1) / deviations[:, None]

    last = float(accuracies[-1])
    starts = [tuple(start[:3])] if start else [(min(1.0, last + 0.05), 0.05, exponent) for exponent in STARTS]
    bounds = ([0.0, 0.0, EXPONENTS[0]], [1.0, np.inf, EXPONENTS[1]])
    found = [least_squares(residuals, each, jacobian, bounds, xtol=1e-6, ftol=1e-6) for each in starts]
    best = min(found, key=lambda each: each.cost)
    ceiling, scale, exponent = map(float, best.x)
    return Law(ceiling, scale, exponent, unit)


def forecast(
    labels: Sequence[float], accuracies: Sequence[float], images: Sequence[int], target: float, seed: int = 0
) -> Forecast:
    """Return how many labels an accuracy needs.

    labels, accuracies, images: of each point, in the order of the labels; `images` is the number of test images.
    """
    points = (np.asarray(labels, np.float64), np.asarray(accuracies, np.float64), np.asarray(images, np.float64))
    law, resampled = bootstrap(*points, seed)
    return forecast_of(law, resampled, target)


def bootstrap(labels: Numbers, accuracies: Numbers, images: Numbers, seed: int) -> tuple[Law, list[Law]]:
    """Return the fitted law, and those fitted to accuracies drawn anew around it. Arguments as of `forecast`."""
    law, deviations = fitted_with_scatter(labels, accuracies, images)
    generator = np.random.default_rng(seed)
    middle = law.at(labels)
    draws = (generator.normal(middle, deviations).clip(0, 1) for _ in range(RESAMPLES))
    return law, [fit(labels, draw, deviations, law) for draw in draws]


def forecast_of(law: Law, resampled: Sequence[Law], target: float, widening: float = WIDENING) -> Forecast:
    """Return how many labels an accuracy needs by the laws of a bootstrap."""
    needed = [each.labels_for(target) for each in resampled]
    tail = (1 - CONFIDENCE) / 2
    low, high = (float(end) for end in np.quantile(needed, [tail, 1 - tail], method="inverted_cdf"))
    labels = law.labels_for(target)
    return Forecast(labels, widened(low, labels, high, law.unit, widening), law)


def fitted_with_scatter(labels: Numbers, accuracies: Numbers, images: Numbers) -> tuple[Law, Numbers]:
    """Return the law, and the standard deviation of each accuracy about it.

    It is that of a share of the test images; if the points scatter more, because each network is trained anew, it is
    multiplied by the square root of chi-square per degree of freedom.
    """
    share = ((accuracies * images) + 1) / (images + 2)  # never 0 or 1
    deviations = np.sqrt(share * (1 - share) / images)
    law = fit(labels, accuracies, deviations)
    chi_square = float((((law.at(labels) - accuracies) / deviations) ** 2).sum())
    return law, deviations * math.sqrt(max(1.0, chi_square / max(1, len(labels) - 3)))


def widened(low: float, middle: float, high: float, present: float, factor: float = WIDENING) -> Interval:
    """Return the interval widened by a factor in the logarithm of the labels; it does not begin before the present."""
    centre = math.log(middle) if math.isfinite(middle) else math.log(max(low, present)) if math.isfinite(low) else 0.0
    if not math.isfinite(low):
        return math.inf, math.inf
    below = math.exp(centre - factor * max(0.0, centre - math.log(low)))
    above = math.exp(centre + factor * max(0.0, math.log(high) - centre)) if math.isfinite(high) else math.inf
    return max(below, present), max(above, present)
