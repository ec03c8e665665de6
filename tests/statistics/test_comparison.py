"""What the results of a simulation come to, on curves worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dfal_cli.statistics import annotations, comparison
from dfal_cli.statistics.intervals import bootstrap_interval

COUNTS = (100, 200, 300)


def results(**curves: list[tuple[float, ...]]) -> pd.DataFrame:
    """For each strategy the accuracies of each trial, at 100, 200, 300 annotations."""
    rows = [
        (name.replace("_", "-"), trial, number, COUNTS[number], accuracy, 0.5, 2.3)
        for name, trials in curves.items()
        for trial, curve in enumerate(trials, 1)
        for number, accuracy in enumerate(curve)
    ]
    columns = ["strategy", "trial", "round", "annotations", "accuracy", "loss", "label_entropy"]
    return pd.DataFrame(rows, columns=columns)


TWO = results(dfal=[(0.5, 0.9, 0.98), (0.6, 0.8, 0.96)], random=[(0.5, 0.7, 0.9), (0.6, 0.7, 0.8)])


def test_the_mean_curve_is_the_mean_of_the_raw_ones_also_where_they_dip() -> None:
    curve = comparison.mean_curves(results(dfal=[(0.5, 0.9, 0.7), (0.7, 0.8, 0.6)]))
    assert curve["annotations"].tolist() == [100, 200, 300]
    assert curve["mean"].tolist() == pytest.approx([0.6, 0.85, 0.65])


def test_the_interval_of_the_mean_curve_is_students() -> None:
    values = [0.90, 0.94, 0.95]
    row = comparison.mean_curves(results(dfal=[(value, 0.9, 0.9) for value in values])).iloc[0]
    expected = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert (row["low"], row["high"]) == pytest.approx(expected)


def test_one_trial_has_a_mean_curve_without_interval() -> None:
    curve = comparison.mean_curves(results(dfal=[(0.5, 0.9, 0.95)]))
    assert curve["mean"].tolist() == [0.5, 0.9, 0.95]
    assert curve[["low", "high"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("curve", "level", "expected"),
    [
        ((0.5, 0.9, 0.98), 0.94, 250),  # half way between two rounds
        ((0.5, 0.9, 0.98), 0.9, 200),  # at a round
        ((0.5, 0.9, 0.8), 0.7, 150),  # the dip afterwards does not count
        ((0.5, 0.4, 0.9), 0.65, 250),  # nor does one before
        ((0.5, 0.9, 0.98), 0.5, 100),  # from the start
        ((0.5, 0.9, 0.98), 0.985, math.nan),  # never: not drawn out beyond the last round
    ],
)
def test_annotations_needed_are_where_the_raw_curve_first_reaches_the_level(
    curve: tuple[float, ...], level: float, expected: float
) -> None:
    per_trial = annotations.annotations_needed(results(dfal=[curve]), level)
    assert per_trial.loc[1, "dfal"] == pytest.approx(expected, nan_ok=True)


def test_the_order_of_the_rows_does_not_matter() -> None:
    shuffled = TWO.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(
        annotations.annotations_needed(shuffled, 0.75)[["dfal", "random"]], annotations.annotations_needed(TWO, 0.75)
    )


def needed(table: pd.DataFrame, level: float, strategy: str) -> annotations.Needed:
    return annotations.needed(annotations.reached_at(table, level), strategy)


def ratio(table: pd.DataFrame, level: float, strategy: str = "dfal", baseline: str = "random") -> annotations.Ratio:
    return annotations.ratio(annotations.reached_at(table, level), strategy, baseline)


def wider(values: list[float]) -> tuple[float, float]:
    """From the lower of the bootstrap's and Student's ends to the higher."""
    student = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    low, high = zip(bootstrap_interval(np.array(values)), student, strict=True)
    return min(low), max(high)


def test_annotations_needed_are_averaged_over_trials_with_an_interval() -> None:
    curves = [(0.5, 0.9, 0.98), (0.5, 0.7, 0.9), (0.5, 0.8, 0.9), (0.5, 0.85, 0.95)]
    found = needed(results(dfal=curves), 0.9, "dfal")
    assert found.mean == pytest.approx(262.5)
    assert (found.low, found.high) == pytest.approx(wider([200, 300, 300, 250.0]))
    assert (found.reached, found.trials) == (4, 4)


def test_a_trial_that_did_not_reach_the_level_counts_with_its_spent_annotations() -> None:
    found = needed(results(dfal=[(0.5, 0.9, 0.98), (0.5, 0.7, 0.8), (0.5, 0.9, 0.9)]), 0.9, "dfal")
    assert found.mean == pytest.approx((200 + 300 + 200) / 3)
    assert (found.reached, found.trials) == (2, 3)
    assert math.isnan(found.low)


def test_the_ratio_is_the_geometric_mean_of_the_trials_ratios() -> None:
    table = results(dfal=[(0.5, 0.9, 0.9)] * 2, random=[(0.5, 0.7, 0.9), (0.5, 0.9, 0.9)])
    found = ratio(table, 0.9)
    assert found.mean == pytest.approx(math.sqrt(200 / 300))
    assert found.bound == ""
    assert math.isnan(found.low)  # two trials


def test_the_ratio_is_a_bound_if_one_strategy_did_not_reach_the_level() -> None:
    assert ratio(TWO, 0.9) == pytest.approx(
        annotations.Ratio(math.sqrt(200 / 300 * 262.5 / 300), 0, math.nan, "at most"), nan_ok=True
    )
    assert ratio(TWO, 0.9, "random", "dfal").bound == "at least"


def test_a_bound_is_clear_only_from_its_own_side() -> None:
    """Random did not get there once: with more rounds it may turn out slower, never faster, than it is counted here."""
    slow = [(0.5, 0.52 + trial / 100, 0.9) for trial in range(5)]
    fast = [(0.5, 0.9, 0.9)] * 4
    behind = ratio(results(dfal=slow, random=[*fast, (0.5, 0.6, 0.7)]), 0.9)
    assert (behind.bound, behind.low, behind.clear) == ("at most", 0, False)
    ahead = ratio(results(dfal=[*fast, fast[0]], random=[(0.5, 0.6, 0.7), *slow[:4]]), 0.9)
    assert (ahead.bound, ahead.clear) == ("at most", True)
    assert ahead.high < 1
    other_way = ratio(results(dfal=[*slow[:4], (0.5, 0.6, 0.7)], random=[*fast, fast[0]]), 0.9)
    assert (other_way.bound, other_way.high, other_way.clear) == ("at least", math.inf, True)


def test_a_ratio_that_nothing_bounds_is_unknown() -> None:
    neither = results(dfal=[(0.5, 0.6, 0.7)], random=[(0.5, 0.6, 0.7)])
    crossed = results(dfal=[(0.5, 0.9, 0.9), (0.5, 0.6, 0.7)], random=[(0.5, 0.6, 0.7), (0.5, 0.9, 0.9)])
    assert math.isnan(ratio(neither, 0.9).mean)
    assert math.isnan(ratio(crossed, 0.9).mean)


def test_differences_are_taken_within_trials() -> None:
    """Trials differ by .2, the strategies by .05 in each: paired, that is clear."""
    gains = (0.04, 0.05, 0.05, 0.06)
    starts = (0.5, 0.7, 0.6, 0.4)
    table = results(
        dfal=[(0.3, start + gain, 0.9) for start, gain in zip(starts, gains, strict=True)],
        random=[(0.3, start, 0.9) for start in starts],
    )
    found = comparison.difference(comparison.accuracies_at(table, 200), "dfal", "random")
    assert found.mean == pytest.approx(0.05)
    assert (found.low, found.high) == pytest.approx(wider(list(gains)))
    assert found.clear
    assert found.trials == 4


def test_a_trial_that_only_one_of_the_two_has_is_left_out() -> None:
    table = TWO[(TWO["strategy"] == "dfal") | (TWO["trial"] == 2)]
    found = comparison.difference(comparison.accuracies_at(table, 300), "dfal", "random")
    assert (found.mean, found.trials) == (pytest.approx(0.16), 1)


def test_any_two_strategies_can_be_compared() -> None:
    table = pd.concat([TWO, TWO[TWO["strategy"] == "dfal"].assign(strategy="dfal-diverse", accuracy=1.0)])
    found = comparison.difference(comparison.accuracies_at(table, 300), "dfal-diverse", "dfal")
    assert found.mean == pytest.approx(0.03)


def test_strategies_no_better_than_naming_the_largest_class_have_not_learnt() -> None:
    table = results(dfal=[(0.3, 0.5, 0.6)] * 2, entropy=[(0.3, 0.4, 0.42)] * 2, random=[(0.3, 0.4, 0.37)] * 2)
    assert comparison.not_learnt(table, comparison.MeasuredOn(372, 139)) == ["entropy", "random"]
    assert comparison.not_learnt(table, comparison.MeasuredOn(10_000, 3_700)) == ["random"]
    assert comparison.not_learnt(table, comparison.MeasuredOn(372, 260)) == ["dfal", "entropy", "random"]


@pytest.mark.parametrize(("images", "largest"), [(40, 40), (29, 10)])
def test_test_images_of_almost_one_class_cannot_show_what_was_learnt(images: int, largest: int) -> None:
    assert comparison.not_learnt(TWO, comparison.MeasuredOn(images, largest)) == []


def test_the_area_under_the_curve_is_the_mean_accuracy_on_the_way() -> None:
    areas = comparison.areas(TWO)
    assert areas.loc[1, "dfal"] == pytest.approx(((0.5 + 0.9) / 2 + (0.9 + 0.98) / 2) / 2)
    uneven = TWO.assign(annotations=TWO["annotations"].replace(300, 500))
    assert comparison.areas(uneven).loc[1, "dfal"] == pytest.approx((0.7 * 100 + 0.94 * 300) / 400)
    assert comparison.areas(TWO[TWO["round"] == 0]).loc[1, "dfal"] == 0.5  # a curve of one point


def test_the_levels_shown_are_reached_by_half_the_trials_of_a_strategy_and_by_none_at_the_start() -> None:
    table = results(dfal=[(0.65, 0.9, 0.98), (0.5, 0.8, 0.91)], random=[(0.5, 0.7, 0.8), (0.5, 0.7, 0.8)])
    assert annotations.levels_worth_showing(table) == [0.85, 0.9, 0.925, 0.95, 0.96, 0.97, 0.98][-6:]
    flat = results(dfal=[(0.55, 0.56, 0.56)])
    assert annotations.levels_worth_showing(flat) == []


def test_the_baseline_is_random_or_else_the_first() -> None:
    assert comparison.baseline_of(TWO) == "random"
    assert comparison.baseline_of(results(dfal=[(0.5, 0.6, 0.7)], entropy=[(0.5, 0.6, 0.7)])) == "dfal"


def test_the_last_round_has_no_query_and_is_ignored_in_query_times() -> None:
    timings = pd.DataFrame(
        [("random", 1, 0, 1.0, 2.0), ("random", 1, 1, 3.0, 6.0), ("random", 1, 2, 5.0, math.nan),
         ("dfal", 1, 0, 1.0, 8.0), ("dfal", 2, 0, 3.0, 6.0), ("dfal", 1, 1, 5.0, math.nan)],
        columns=["strategy", "trial", "round", "train_seconds", "query_seconds"],
    )  # fmt: skip
    seconds = comparison.mean_seconds(timings)
    assert seconds.index.tolist() == ["random", "dfal"]
    assert seconds.loc["random"].tolist() == [3.0, 4.0, 2.0, 6.0]
    assert seconds.loc["dfal"].tolist() == [3.0, 7.0, 7.0, 7.0]


def test_a_simulation_of_one_round_has_no_query_times() -> None:
    timings = pd.DataFrame(
        {"strategy": ["dfal"], "trial": [1], "round": [0], "train_seconds": [2.0], "query_seconds": [math.nan]}
    )
    seconds = comparison.mean_seconds(timings).loc["dfal"]
    assert seconds["train"] == 2.0
    assert seconds.drop("train").isna().all()
