"""Intervals over few trials: against scipy, against all resamples there are, and by how often they hold the truth."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from dfal_cli.statistics.intervals import (
    Values,
    beats_guessing,
    bootstrap_interval,
    student_interval,
    student_quantile,
    trials_needed,
    wilson_interval,
)


@pytest.mark.parametrize("freedom", [*range(1, 12), 30, 99, 400])
def test_the_t_quantile_is_scipys(freedom: int) -> None:
    assert student_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-10)


def test_students_interval_is_scipys() -> None:
    values = np.array([0.91, 0.95, 0.93, 0.97])
    expected = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    assert student_interval(values) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_trials_have_no_students_interval(count: int) -> None:
    assert all(math.isnan(end) for end in student_interval(np.full(count, 0.9)))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_trials_have_no_bootstrap_interval(count: int) -> None:
    assert all(math.isnan(end) for end in bootstrap_interval(np.arange(float(count))))


@pytest.mark.parametrize("count", [3, 4, 5, 6])
def test_the_bootstrap_interval_is_that_of_all_resamples(count: int) -> None:
    values = np.random.default_rng(count).normal(size=count)
    means = sorted(sum(resample) / count for resample in itertools.product(values, repeat=count))
    tail = stats.norm.cdf(-stats.t.ppf(0.975, count - 1) * math.sqrt(count / (count - 1)))
    cut = math.floor(tail * len(means))  # so many resamples may lie beyond, either side
    assert bootstrap_interval(values) == pytest.approx((means[cut], means[-1 - cut]), abs=1e-12)


def test_drawn_resamples_give_nearly_the_interval_of_all() -> None:
    values = np.random.default_rng(7).normal(size=7)
    means = values[np.indices((7,) * 7).reshape(7, -1)].mean(axis=0)
    tail = stats.norm.cdf(-stats.t.ppf(0.975, 6) * math.sqrt(7 / 6))
    assert bootstrap_interval(values) == pytest.approx(tuple(np.quantile(means, [tail, 1 - tail])), abs=0.06)


def test_the_same_values_have_the_same_interval_whatever_was_drawn_before() -> None:
    values = np.random.default_rng(0).normal(size=12)
    first = bootstrap_interval(values)
    np.random.default_rng().random(3)
    assert bootstrap_interval(values) == first


def test_the_interval_of_equal_values_is_that_value() -> None:
    assert bootstrap_interval(np.full(5, 0.25)) == (0.25, 0.25)


@pytest.mark.parametrize(("count", "held"), [(3, 0.75), (4, 0.875), (5, 0.925), (8, 0.945), (12, 0.945)])
def test_the_bootstrap_interval_holds_a_normal_mean_as_often_as_it_says(count: int, held: float) -> None:
    """3 and 4 trials hold it only as often as their range does."""
    trials = np.random.default_rng(1).normal(size=(1500, count))
    holds = np.mean([low <= 0 <= high for low, high in map(bootstrap_interval, trials)])
    assert holds == pytest.approx(held, abs=0.025)
    assert holds < 1 - 2.0 ** (1 - count) + 0.025


@pytest.mark.parametrize(("right", "count"), [(0, 1), (1, 1), (7, 12), (8, 100), (95, 100), (0, 30), (1217, 1217)])
def test_the_interval_of_an_accuracy_is_scipys(right: int, count: int) -> None:
    expected = stats.binomtest(right, count).proportion_ci(method="wilson")
    assert wilson_interval(right / count, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_of_no_examples_an_accuracy_may_be_anything() -> None:
    assert wilson_interval(0.0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("count", [1, 2, 5, 1000])
@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_the_interval_of_an_accuracy_stays_within_0_and_1(accuracy: float, count: int) -> None:
    low, high = wilson_interval(accuracy, count)
    assert 0 <= low <= accuracy <= high <= 1


@pytest.mark.parametrize(
    ("accuracy", "count", "baseline", "better"),
    [
        (0.08, 1217, 0.1, False),  # worse than chance
        (0.12, 100, 0.1, False),  # a little better, on so few
        (0.12, 10_000, 0.1, True),  # the same, on enough
        (7 / 12, 12, 0.5, None),  # on so few
        (1.0, 12, 0.5, True),  # unless it is that good
        (0.95, 200, 0.3, True),
        (0.9, 1000, 0.9, False),  # what always saying the largest class comes to
        (1.0, 40, 1.0, None),  # of a single class there is nothing to tell
        (1.0, 100, 0.98, None),  # nor with two images of another one, however good the network
        (0.98, 100, 0.98, None),
        (1.0, 200, 0.97, True),
        (0.97, 200, 0.97, False),
        (0.0, 0, 0.1, None),
    ],
)
def test_an_accuracy_beats_guessing_if_chance_does_not_explain_it(
    accuracy: float, count: int, baseline: float, better: bool | None
) -> None:
    assert beats_guessing(accuracy, count, baseline) is better


@pytest.mark.parametrize(("mean", "spread"), [(1.0, 0.1), (1.0, 1.0), (-0.5, 1.0), (0.2, 1.0)])
def test_the_trials_needed_are_the_fewest_whose_interval_excludes_zero(mean: float, spread: float) -> None:
    """If their mean and standard deviation stay the same."""

    def with_count(count: int) -> Values:
        values = np.linspace(-1, 1, count)
        return mean + spread * values / values.std(ddof=1)

    intervals = {count: student_interval(with_count(count)) for count in range(2, 200)}
    fewest = next(count for count, (low, high) in intervals.items() if low > 0 or high < 0)
    assert trials_needed(with_count(5)) == fewest


def test_trials_of_no_difference_are_never_enough() -> None:
    assert trials_needed(np.array([1.0, -1.0, 0.0])) is None
    assert trials_needed(np.array([0.0, 0.0])) is None
    assert trials_needed(np.array([1.0])) is None
    assert trials_needed(np.array([0.01, 0.01])) == 2
