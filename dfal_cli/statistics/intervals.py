"""95 % intervals: of a mean over few trials (Student's t, a bootstrap over the trials), and of an accuracy (Wilson).

None needs scipy: dfal draws its curves where only its own dependencies are installed.
"""

import functools
import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95

FEWEST_TO_RESAMPLE = 3
"""Trials: of two, a resample is one of them, the other or their mean, which says nothing about a third."""

FEW = 30
"""Fewer images tell little: an accuracy on them may be off by 20 points and more."""

DRAWS = 20_000
"""Resamples drawn where there are too many to take all of them."""

SEED = 0
"""Of these draws: the same numbers always have the same interval."""

Values = npt.NDArray[np.float64]
Interval = tuple[float, float]
UNKNOWN: Interval = (math.nan, math.nan)


def student_interval(values: Values) -> Interval:
    """Student's t interval of the mean of independent `values`; of fewer than two it is unknown (nan)."""
    count = len(values)
    if count < 2:
        return UNKNOWN
    reach = student_quantile(count - 1) * float(values.std(ddof=1)) / math.sqrt(count)
    return float(values.mean()) - reach, float(values.mean()) + reach


def bootstrap_interval(values: Values) -> Interval:
    """Percentile bootstrap interval of the mean of `values`, one a trial; of fewer than three it is unknown (nan).

    The percentiles are moved outwards as far as Student's t and the missing n / (n - 1) ask for (Hesterberg,
    arXiv:1411.5279, "expanded percentiles"), since plain ones are far too narrow for a handful of trials. What no
    resampling can mend: the interval never leaves the range of the trials, so it holds the mean of a symmetric
    distribution in at most 75 % of the cases with 3 trials, 88 % with 4, 94 % with 5.
    """
    count = len(values)
    if count < FEWEST_TO_RESAMPLE:
        return UNKNOWN
    means = values[_resamples(count)].mean(axis=1)
    tail = NormalDist().cdf(-student_quantile(count - 1) * math.sqrt(count / (count - 1)))
    low, high = np.quantile(means, [tail, 1 - tail], method="inverted_cdf")
    return float(low), float(high)


def no_narrower(interval: Interval, least: Interval) -> Interval:
    """The interval, with what it lacks of `least`; an unknown one (nan) stays unknown."""
    (low, high), (least_low, least_high) = interval, least
    return (low, high) if math.isnan(low) or math.isnan(high) else (min(low, least_low), max(high, least_high))


def wilson_interval(accuracy: float, count: int) -> Interval:
    """Wilson's score interval of a share found in `count` independent examples; of none it is all there is, 0 to 1."""
    if count == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    middle = accuracy + z**2 / (2 * count)
    reach = z * math.sqrt(accuracy * (1 - accuracy) / count + z**2 / (4 * count**2))
    low, high = ((middle + sign * reach) / (1 + z**2 / count) for sign in (-1, 1))
    return max(0.0, min(low, accuracy)), min(1.0, max(high, accuracy))  # rounding must not leave them out


def beats_guessing(accuracy: float, count: int, baseline: float) -> bool | None:
    """Whether an accuracy on `count` examples is better, beyond chance, than always saying the largest class.

    baseline: what that would be right on: the share of the largest class among these very examples.
    None where these cannot tell: they are few, or so many of one class that not even a perfect network would be better.
    """
    if wilson_interval(accuracy, count)[0] > baseline:
        return True
    perfect_would = wilson_interval(1.0, count)[0] > baseline
    return False if count >= FEW and perfect_would else None


@functools.cache
def student_quantile(freedom: int) -> float:
    """The t that a Student variable of so many degrees of freedom stays within, either side, 95 % of the time."""
    low, high = 0.0, 13.0  # 12.71 for one degree of freedom, less for more
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < CONFIDENCE else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """P(|T| <= t): the finite sums for whole degrees of freedom (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for number in range(1 + odd, freedom, 2):
        total += term
        term *= number / (number + 1) * math.cos(angle) ** 2
    return 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total


@functools.cache
def _resamples(count: int) -> npt.NDArray[np.intp]:
    """Which values each resample takes, (resamples, count): all there are up to six values, else a draw of them."""
    if count**count <= 50_000:
        return np.indices((count,) * count).reshape(count, -1).T
    return np.random.default_rng(SEED).integers(count, size=(DRAWS, count))
