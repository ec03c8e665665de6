"""Comparison of strategies by the results of a simulation, computed from the raw learning curves of its trials.

Tables named `per_trial` have a row per trial and a column per strategy. Trials are paired (same initial labels, same
seeds), so strategies are compared within each trial first, and then over trials.

Each end of a comparison's 95 % interval is the wider one of two intervals: the bootstrap over trials, which assumes no
distribution but is too narrow for few trials, and Student's t, which is valid for few trials if they are normally
distributed. A difference is clear if this interval excludes equality.

Accuracies on n test images are multiples of `step` = 1 / n, so an accuracy is known to half a step and a difference to
one step. No interval is narrower than that, even if trials agree. A step of 0 means unknown and has no effect.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from dfal_cli.statistics.intervals import (
    UNKNOWN,
    Interval,
    Values,
    at_least,
    beats_guessing,
    bootstrap_interval,
    student_interval,
)

BASELINE = "random"

ROUNDING = 1e-6
"""Maximum rounding error of a difference of two accuracies with six digits; a difference of one image is not more."""


class MeasuredOn(NamedTuple):
    """The test images on which accuracies were measured."""

    images: int
    largest: int
    """Number of images of the largest class."""

    @property
    def step(self) -> float:
        """The accuracy contributed by one image."""
        return 1 / self.images


class Difference(NamedTuple):
    """The mean over trials of the difference between two strategies, with its interval (nan if unknown)."""

    mean: float
    low: float
    high: float
    trials: int

    @property
    def clear(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0


def as_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Convert all columns but `strategy` from text to numbers; empty cells become nan."""
    return table.assign(**{name: pd.to_numeric(table[name]) for name in table.columns if name != "strategy"})


def strategies_of(results: pd.DataFrame) -> list[str]:
    """Return the strategies in the order in which the user named them."""
    return list(dict.fromkeys(results["strategy"]))


def baseline_of(results: pd.DataFrame) -> str:
    """Return the strategy that others are compared to: random, or the first strategy if random was not simulated."""
    strategies = strategies_of(results)
    return BASELINE if BASELINE in strategies else strategies[0]


def ranked_strategies(results: pd.DataFrame) -> list[str]:
    """Return the strategies by decreasing mean accuracy at the end of the curve."""
    curves = mean_curves(results).sort_values("annotations", kind="stable")
    last = curves.groupby("strategy", sort=False)["mean"].last().reindex(strategies_of(results))
    return list(last.sort_values(ascending=False, kind="stable").index)


def mean_curves(results: pd.DataFrame, step: float = 0.0) -> pd.DataFrame:
    """Return columns strategy, annotations, mean, low, high: accuracy over trials, with Student's interval.

    The interval of a single trial is nan.
    """
    rows = []
    for (strategy, annotations), group in results.groupby(["strategy", "annotations"], sort=False):
        values = group["accuracy"].to_numpy("float64")
        rows.append((strategy, annotations, values.mean(), *accuracy_interval(values, step)))
    return pd.DataFrame(rows, columns=["strategy", "annotations", "mean", "low", "high"])


def accuracy_interval(values: Values, step: float = 0.0) -> Interval:
    """Return Student's interval of a mean accuracy, clipped to 0 to 1."""
    mean = float(values.mean())
    low, high = np.clip(at_least(student_interval(values), (mean - step / 2, mean + step / 2)), 0, 1)
    return float(low), float(high)


def accuracies_at(results: pd.DataFrame, annotations: int) -> pd.DataFrame:
    """Return the accuracy per trial at an annotation count."""
    return _wide(results[results["annotations"] == annotations].set_index(["trial", "strategy"])["accuracy"], results)


def areas(results: pd.DataFrame) -> pd.DataFrame:
    """Return the area under the learning curve per trial, divided by its width: the mean accuracy along the curve."""
    return per_curve(results, _area)


def difference(per_trial: pd.DataFrame, strategy: str, baseline: str, step: float = 0.0) -> Difference:
    """Return the difference of `strategy` from `baseline`, over the trials that have both. per_trial: accuracies."""
    values = (per_trial[strategy] - per_trial[baseline]).dropna().to_numpy("float64")
    if not len(values):
        return Difference(math.nan, *UNKNOWN, 0)
    mean, half_width = float(values.mean()), step and step + ROUNDING
    interval = at_least(wider_interval(values), (mean - half_width, mean + half_width))
    return Difference(mean, *interval, len(values))


def accuracy_at_end(results: pd.DataFrame) -> dict[str, float]:
    """Return the final test accuracy of each strategy, averaged over trials."""
    last = results.sort_values("annotations", kind="stable").groupby(["strategy", "trial"]).tail(1)
    means = last.groupby("strategy")["accuracy"].mean()
    return {name: float(means[name]) for name in strategies_of(results)}


def not_learnt(results: pd.DataFrame, measured_on: MeasuredOn) -> list[str]:
    """Return the strategies that are finally not significantly better than always predicting the largest test class.

    The list is empty if the test images cannot show it.
    """
    images, guessing = measured_on.images, measured_on.largest / measured_on.images
    ended = accuracy_at_end(results).items()
    return [name for name, accuracy in ended if beats_guessing(accuracy, images, guessing) is False]


def seconds_of_trial(timings: pd.DataFrame) -> float:
    """Return the mean over trials of the seconds that all rounds of all strategies took, one after the other."""
    seconds = timings["train_seconds"] + timings["query_seconds"].fillna(0)
    return float(seconds.sum() / timings["trial"].nunique())


def mean_seconds(timings: pd.DataFrame) -> pd.DataFrame:
    """Return seconds by strategy in columns train, query (means over all rounds), first_query and last_query.

    The last round queries nothing: its query_seconds are nan and are ignored.
    """
    queried = timings.dropna(subset="query_seconds").groupby("strategy", sort=False)
    by_round = timings.groupby(["strategy", "round"], sort=False)["query_seconds"].mean().dropna().groupby("strategy")
    return pd.DataFrame(
        {
            "train": timings.groupby("strategy", sort=False)["train_seconds"].mean(),
            "query": queried["query_seconds"].mean(),
            "first_query": by_round.first(),
            "last_query": by_round.last(),
        }
    ).loc[strategies_of(timings)]


def wider_interval(values: Values) -> Interval:
    """Return the union of the bootstrap and Student intervals; unknown (nan) if one of them is unknown."""
    low, high = np.array([bootstrap_interval(values), student_interval(values)]).T
    return float(low.min()), float(high.max())


def per_curve(results: pd.DataFrame, number: Callable[[Values, Values], float]) -> pd.DataFrame:
    """Apply `number` to the curve (annotations, accuracy) of each trial and strategy; returns a `per_trial` table."""
    numbers = {}
    for (trial, strategy), curve in results.sort_values("annotations").groupby(["trial", "strategy"]):
        annotations, accuracy = (curve[name].to_numpy("float64") for name in ("annotations", "accuracy"))
        numbers[trial, strategy] = number(annotations, accuracy)
    index = pd.MultiIndex.from_tuples(numbers, names=["trial", "strategy"])
    return _wide(pd.Series(list(numbers.values()), index, dtype="float64"), results)


def _wide(numbers: "pd.Series[float]", results: pd.DataFrame) -> pd.DataFrame:
    """Reshape a series indexed by trial and strategy to a row per trial and a column per strategy of `results`."""
    return numbers.unstack("strategy").reindex(columns=strategies_of(results))


def _area(annotations: Values, accuracy: Values) -> float:
    if len(annotations) == 1:
        return float(accuracy[0])
    trapezia = np.diff(annotations) * (accuracy[1:] + accuracy[:-1]) / 2
    return float(trapezia.sum() / (annotations[-1] - annotations[0]))
