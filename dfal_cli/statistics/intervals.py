"""95 % confidence intervals: of a mean over few trials (Student's t, bootstrap), and of an accuracy (Wilson).

They do not use scipy.stats, whose import takes a second.
"""

import bisect
import functools
import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95

MIN_TRIALS_TO_RESAMPLE = 3
"""Minimum number of trials for a bootstrap: resamples of two trials have only three different means."""

MIN_IMAGES = 30
"""With fewer images, an accuracy may be off by 20 points or more, so no verdict is given."""

MAX_TRIALS = 1000
"""More trials than anybody would run to tell two strategies apart."""

RESAMPLES = 20_000
"""Number of random resamples, if there are too many to enumerate."""

SEED = 0
"""Seed of the resamples; equal values always have equal intervals."""

Values = npt.NDArray[np.float64]
Interval = tuple[float, float]
UNKNOWN: Interval = (math.nan, math.nan)


def student_interval(values: Values) -> Interval:
    """Return Student's t interval of the mean of independent `values`; unknown (nan) for fewer than two."""
    count = len(values)
    if count < 2:
        return UNKNOWN
    reach = student_quantile(count - 1) * float(values.std(ddof=1)) / math.sqrt(count)
    return float(values.mean()) - reach, float(values.mean()) + reach


def bootstrap_interval(values: Values) -> Interval:
    """Return the percentile bootstrap interval of the mean of `values`, one per trial; unknown (nan) for fewer than 3.

    The percentiles are expanded by Student's t and the factor n / (n - 1) (Hesterberg, arXiv:1411.5279, "expanded
    percentiles"), because plain percentiles are too narrow for few trials. The interval still stays within the range
    of the values, so it contains the mean of a symmetric distribution in at most 75 % of cases with 3 trials, 88 %
    with 4, and 94 % with 5.
    """
    count = len(values)
    if count < MIN_TRIALS_TO_RESAMPLE:
        return UNKNOWN
    means = values[_resamples(count)].mean(axis=1)
    tail = expanded_tail(count)
    low, high = np.quantile(means, [tail, 1 - tail], method="inverted_cdf")
    return float(low), float(high)


def expanded_tail(count: int) -> float:
    """Return the share of the bootstrap's values that lies outside either end of an interval over `count` trials.

    Hesterberg's expanded percentiles: .016 for 20 trials, where plain percentiles have .025.
    """
    return NormalDist().cdf(-student_quantile(count - 1) * math.sqrt(count / (count - 1)))


def trials_needed(values: Values) -> int | None:
    """Return from how many trials on Student's interval would exclude 0 if mean and spread stayed those of `values`.

    None if these are fewer than two, or MAX_TRIALS would not suffice.
    """
    if len(values) < 2:
        return None
    mean, spread = abs(float(values.mean())), float(values.std(ddof=1))

    def excludes_zero(count: int) -> bool:
        return mean > student_quantile(count - 1) * spread / math.sqrt(count)

    found = bisect.bisect_left(range(2, MAX_TRIALS + 1), True, key=excludes_zero) + 2
    return found if found <= MAX_TRIALS else None


def at_least(interval: Interval, minimum: Interval) -> Interval:
    """Return the interval extended to contain `minimum`; an unknown interval (nan) stays unknown."""
    (low, high), (minimum_low, minimum_high) = interval, minimum
    return (low, high) if math.isnan(low) or math.isnan(high) else (min(low, minimum_low), max(high, minimum_high))


def wilson_interval(accuracy: float, count: float) -> Interval:
    """Return Wilson's score interval of a share of `count` independent examples; 0 to 1 for none.

    count: need not be whole, as examples that depend on each other may be worth fewer or more.
    """
    if count == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    middle = accuracy + z**2 / (2 * count)
    reach = z * math.sqrt(accuracy * (1 - accuracy) / count + z**2 / (4 * count**2))
    low, high = ((middle + sign * reach) / (1 + z**2 / count) for sign in (-1, 1))
    return max(0.0, min(low, accuracy)), min(1.0, max(high, accuracy))  # contains `accuracy` despite rounding


def beats_guessing(accuracy: float, count: int, baseline: float) -> bool | None:
    """Return whether an accuracy on `count` examples is significantly better than predicting the largest class.

    baseline: the accuracy of that prediction, the share of the largest class among the same examples.
    Returns None if the examples cannot show it: they are too few, or even a perfect network would not be significantly
    better.
    """
    if wilson_interval(accuracy, count)[0] > baseline:
        return True
    perfect_would = wilson_interval(1.0, count)[0] > baseline
    return False if count >= MIN_IMAGES and perfect_would else None


@functools.cache
def student_quantile(freedom: int) -> float:
    """Return the two-sided 95 % quantile of Student's t with `freedom` degrees of freedom."""
    low, high = 0.0, 13.0  # 12.71 for one degree of freedom, and less for more
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < CONFIDENCE else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """Return P(|T| <= t), by the finite sums for integer degrees of freedom (Abramowitz and Stegun, 26.7.3 and 4)."""
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
    """Return the indices of each resample, (resamples, count): all resamples for up to six values, else random ones."""
    if count**count <= 50_000:
        return np.indices((count,) * count).reshape(count, -1).T
    return np.random.default_rng(SEED).integers(count, size=(RESAMPLES, count))
