"""How precisely the results of a simulation are known: intervals over trials, and what so few test images can tell."""

import math

import numpy as np
import pandas as pd
import pytest

from dfal_cli.statistics import annotations, comparison
from dfal_cli.statistics.intervals import bootstrap_interval, student_interval
from tests.statistics.test_comparison import results, wider


def test_three_trials_on_one_side_of_zero_are_not_clear_if_students_interval_includes_it() -> None:
    """The bootstrap's interval is from .01 to .1, which three trials of pure noise would give in every fourth case."""
    table = results(dfal=[(0.5, 0.51, 0.9), (0.5, 0.6, 0.9), (0.5, 0.52, 0.9)], random=[(0.5, 0.5, 0.9)] * 3)
    found = comparison.difference(comparison.accuracies_at(table, 200), "dfal", "random")
    assert found.low < 0 < found.high
    assert not found.clear


def test_an_interval_of_skewed_trials_is_the_wider_one_at_each_end() -> None:
    ratios = np.exp([0.0, 0.01, 0.02, 0.03, 0.02, 1.2])
    per_trial = pd.DataFrame({"dfal": ratios, "random": 1.0})
    found = annotations.ratio(annotations.Reached(*[per_trial] * 4), "dfal", "random")
    assert (found.low, found.high) == pytest.approx(np.exp(wider(list(np.log(ratios)))))
    bootstrap, student = bootstrap_interval(np.log(ratios)), student_interval(np.log(ratios))
    assert (student[0] < bootstrap[0]) or (student[1] > bootstrap[1])


@pytest.mark.parametrize("accuracies", [(0.01, 0.02, 0.3), (0.99, 0.98, 0.7)])
def test_the_interval_of_an_accuracy_ends_where_accuracies_do(accuracies: tuple[float, ...]) -> None:
    row = comparison.mean_curves(results(dfal=[(value, 0.9, 0.9) for value in accuracies])).iloc[0]
    assert 0 <= row["low"] <= row["high"] <= 1
    assert row["low"] == 0 or row["high"] == 1


def test_annotations_needed_are_never_fewer_than_none() -> None:
    early = pd.DataFrame({"dfal": [10.0, 12.0, 300.0]})
    assert annotations.needed(annotations.Reached(*[early] * 4), "dfal").low == 0


def test_noise_is_called_clear_in_one_case_of_twenty() -> None:
    noise = np.random.default_rng(3).normal(size=(2000, 3))
    tables = (pd.DataFrame({"dfal": values, "random": 0.0}) for values in noise)
    assert np.mean([comparison.difference(table, "dfal", "random").clear for table in tables]) < 0.065


AGREEING = results(dfal=[(0.5, 0.75, 0.9)] * 3, random=[(0.5, 0.7, 0.9)] * 3)
"""Three trials that came out alike, as they may on few test images."""


@pytest.mark.parametrize(("step", "clear"), [(0, True), (0.01, True), (0.05, False), (0.1, False)])
def test_a_difference_is_known_to_one_test_image_at_best(step: float, clear: bool) -> None:
    found = comparison.difference(comparison.accuracies_at(AGREEING, 200), "dfal", "random", step)
    assert (found.low, found.high) == pytest.approx((0.05 - step, 0.05 + step), abs=2e-6)
    assert found.clear == clear


def test_an_accuracy_is_known_to_half_a_test_image_at_best() -> None:
    assert comparison.accuracy_interval(np.array([0.7, 0.7, 0.7]), 0.01) == pytest.approx((0.695, 0.705))
    assert comparison.accuracy_interval(np.array([1.0, 1.0]), 0.01) == pytest.approx((0.995, 1.0))
    row = comparison.mean_curves(AGREEING, 0.01).iloc[0]
    assert (row["low"], row["high"]) == pytest.approx((0.495, 0.505))


def test_an_interval_that_is_wide_enough_is_not_widened() -> None:
    values = np.array([0.90, 0.94, 0.95])
    assert comparison.accuracy_interval(values, 0.01) == pytest.approx(student_interval(values))
    per_trial = pd.DataFrame({"dfal": values, "random": 0.5})
    widened, plain = (comparison.difference(per_trial, "dfal", "random", step) for step in (0.01, 0))
    assert widened == plain


def test_annotations_needed_are_known_to_where_half_a_test_image_more_or_less_is_reached() -> None:
    """dfal is at 72.5 % after 190 annotations; half a step of two points is one point, 4 annotations of its curve."""
    reached = annotations.reached_at(AGREEING, 0.725, 0.02)
    found = annotations.needed(reached, "dfal")
    assert found.mean == pytest.approx(190)
    assert (found.low, found.high) == pytest.approx((186, 194))
    slower = annotations.needed(reached, "random")
    assert (slower.low, slower.high) == pytest.approx((207.5, 217.5))
    ratio = annotations.ratio(reached, "dfal", "random")
    assert (ratio.low, ratio.high) == pytest.approx((186 / 217.5, 194 / 207.5))
    assert annotations.ratio(annotations.reached_at(AGREEING, 0.725), "dfal", "random").low == pytest.approx(
        190 / 212.5
    )


def test_a_ratio_of_trials_that_agree_is_clear_only_beyond_the_grid() -> None:
    assert annotations.ratio(annotations.reached_at(AGREEING, 0.725, 0.02), "dfal", "random").clear
    assert not annotations.ratio(annotations.reached_at(AGREEING, 0.725, 0.1), "dfal", "random").clear


JUST = results(dfal=[(0.5, 0.8, 0.9)] * 3, random=[(0.5, 0.7, 0.95)] * 3)
"""dfal gets to 90 % with its last annotations, and not to half a test image of a hundred more."""


def test_a_level_only_just_reached_has_no_upper_bound() -> None:
    found = annotations.needed(annotations.reached_at(JUST, 0.9, 0.01), "dfal")
    assert (found.mean, found.low, found.high, found.reached) == (300, pytest.approx(295), math.inf, 3)
    assert annotations.needed(annotations.reached_at(JUST, 0.9), "dfal").high == 300  # of a grid that nobody knows
    one = results(dfal=[(0.5, 0.9, 0.95), (0.5, 0.9, 0.96), (0.5, 0.8, 0.9)])
    assert annotations.needed(annotations.reached_at(one, 0.9, 0.01), "dfal").high == math.inf


def test_a_ratio_is_open_on_the_side_of_a_level_only_just_reached() -> None:
    reached = annotations.reached_at(JUST, 0.9, 0.01)
    own, other = annotations.ratio(reached, "dfal", "random"), annotations.ratio(reached, "random", "dfal")
    assert (own.high, own.bound, own.low > 1) == (math.inf, "", True)
    assert (other.low, other.bound, other.high < 1) == (0, "", True)


def test_one_trial_that_only_just_reached_the_level_prevents_a_clear_ratio() -> None:
    table = results(dfal=[*[(0.5, 0.9, 0.95)] * 4, (0.5, 0.85, 0.9)], random=[(0.5, 0.6, 0.95)] * 5)
    found = annotations.ratio(annotations.reached_at(table, 0.9, 0.01), "dfal", "random")
    assert found.mean < 1
    assert (found.high, found.clear) == (math.inf, False)
