"""What the results of a simulation come to: numbers to compare strategies by, each from the raw curves of its trials.

Tables named `per_trial` have a row for each trial and a column for each strategy: trials are paired (same initial
labels, same seeds), so that strategies are compared within a trial first and only then over trials.

The 95 % interval of a comparison is, at each end, the wider one of two: the bootstrap's over trials, which assumes no
distribution but is too narrow for a handful of trials, and Student's t, which holds for few trials too if they are
normally distributed. What that interval says, and nothing else, decides what is clear.

Accuracies on n test images lie on a grid of `step` 1 / n: one is known to half a step, the difference of two to a whole
one. Trials that happen to agree do not know more, so no interval is narrower than that. A step of 0 is one that nobody
knows, and widens nothing.
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
    beats_guessing,
    bootstrap_interval,
    no_narrower,
    student_interval,
)

BASELINE = "random"

ROUNDED = 1e-6
"""What six digits of two accuracies may add to their difference: one of exactly one image must not seem larger."""


class MeasuredOn(NamedTuple):
    """What accuracies were measured on."""

    images: int
    largest: int
    """Images of its largest class, which always naming that class gets right."""

    @property
    def step(self) -> float:
        """The accuracy that one image makes."""
        return 1 / self.images


class Difference(NamedTuple):
    """A mean over trials of what one strategy has more than another, with its interval (nan if unknown)."""

    mean: float
    low: float
    high: float
    trials: int

    @property
    def clear(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0


def as_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """A table as it is written -> one in which all but the strategy is a number, nan where nothing is written."""
    return table.assign(**{name: pd.to_numeric(table[name]) for name in table.columns if name != "strategy"})


def strategies_of(results: pd.DataFrame) -> list[str]:
    """The strategies in the order in which they were asked for."""
    return list(dict.fromkeys(results["strategy"]))


def baseline_of(results: pd.DataFrame) -> str:
    """What the others are compared to: random, or the first strategy if random has not been simulated."""
    strategies = strategies_of(results)
    return BASELINE if BASELINE in strategies else strategies[0]


def ranked_strategies(results: pd.DataFrame) -> list[str]:
    """The strategies by their mean accuracy at the end of the curve, the best first."""
    curves = mean_curves(results).sort_values("annotations", kind="stable")
    last = curves.groupby("strategy", sort=False)["mean"].last().reindex(strategies_of(results))
    return list(last.sort_values(ascending=False, kind="stable").index)


def mean_curves(results: pd.DataFrame, step: float = 0.0) -> pd.DataFrame:
    """Columns strategy, annotations, mean, low, high: accuracy over trials, with Student's interval (nan for one)."""
    rows = []
    for (strategy, annotations), group in results.groupby(["strategy", "annotations"], sort=False):
        values = group["accuracy"].to_numpy("float64")
        rows.append((strategy, annotations, values.mean(), *accuracy_interval(values, step)))
    return pd.DataFrame(rows, columns=["strategy", "annotations", "mean", "low", "high"])


def accuracy_interval(values: Values, step: float = 0.0) -> Interval:
    """Student's interval of a mean accuracy, as far as accuracies go: from 0 to 1."""
    mean = float(values.mean())
    low, high = np.clip(no_narrower(student_interval(values), (mean - step / 2, mean + step / 2)), 0, 1)
    return float(low), float(high)


def accuracies_at(results: pd.DataFrame, annotations: int) -> pd.DataFrame:
    """Accuracy per trial at an annotation count."""
    return _wide(results[results["annotations"] == annotations].set_index(["trial", "strategy"])["accuracy"], results)


def areas(results: pd.DataFrame) -> pd.DataFrame:
    """Area under the learning curve per trial, divided by its width: the mean accuracy on the way."""
    return per_curve(results, _area)


def difference(per_trial: pd.DataFrame, strategy: str, baseline: str, step: float = 0.0) -> Difference:
    """How much more `strategy` has than `baseline`, over the trials that have both. per_trial: accuracies."""
    values = (per_trial[strategy] - per_trial[baseline]).dropna().to_numpy("float64")
    if not len(values):
        return Difference(math.nan, *UNKNOWN, 0)
    mean, least = float(values.mean()), step and step + ROUNDED
    return Difference(mean, *no_narrower(wider_interval(values), (mean - least, mean + least)), len(values))


def accuracy_at_end(results: pd.DataFrame) -> dict[str, float]:
    """Test accuracy at the end of each strategy, mean over the trials."""
    last = results.sort_values("annotations", kind="stable").groupby(["strategy", "trial"]).tail(1)
    means = last.groupby("strategy")["accuracy"].mean()
    return {name: float(means[name]) for name in strategies_of(results)}


def not_learnt(results: pd.DataFrame, measured_on: MeasuredOn) -> list[str]:
    """The strategies that end no better, beyond chance, than always naming the largest class of the test images.

    None where these cannot tell.
    """
    images, guessing = measured_on.images, measured_on.largest / measured_on.images
    ended = accuracy_at_end(results).items()
    return [name for name, accuracy in ended if beats_guessing(accuracy, images, guessing) is False]


def mean_seconds(timings: pd.DataFrame) -> pd.DataFrame:
    """Index strategy; columns train, query (means over all rounds), first_query, last_query: seconds.

    The last round asks nothing: its query_seconds are nan and do not count.
    """
    asked = timings.dropna(subset="query_seconds").groupby("strategy", sort=False)
    by_round = timings.groupby(["strategy", "round"], sort=False)["query_seconds"].mean().dropna().groupby("strategy")
    return pd.DataFrame(
        {
            "train": timings.groupby("strategy", sort=False)["train_seconds"].mean(),
            "query": asked["query_seconds"].mean(),
            "first_query": by_round.first(),
            "last_query": by_round.last(),
        }
    ).loc[strategies_of(timings)]


def wider_interval(values: Values) -> Interval:
    """From the lower one of the bootstrap's and Student's ends to the higher one; unknown (nan) if one of them is."""
    low, high = np.array([bootstrap_interval(values), student_interval(values)]).T
    return float(low.min()), float(high.max())


def per_curve(results: pd.DataFrame, number: Callable[[Values, Values], float]) -> pd.DataFrame:
    """A number for the curve (annotations, accuracy) of each trial and strategy."""
    numbers = {}
    for (trial, strategy), curve in results.sort_values("annotations").groupby(["trial", "strategy"]):
        annotations, accuracy = (curve[name].to_numpy("float64") for name in ("annotations", "accuracy"))
        numbers[trial, strategy] = number(annotations, accuracy)
    index = pd.MultiIndex.from_tuples(numbers, names=["trial", "strategy"])
    return _wide(pd.Series(list(numbers.values()), index, dtype="float64"), results)


def _wide(numbers: "pd.Series[float]", results: pd.DataFrame) -> pd.DataFrame:
    """Indexed by trial and strategy -> a row for each trial, a column for each strategy of `results`."""
    return numbers.unstack("strategy").reindex(columns=strategies_of(results))


def _area(annotations: Values, accuracy: Values) -> float:
    if len(annotations) == 1:
        return float(accuracy[0])
    trapezia = np.diff(annotations) * (accuracy[1:] + accuracy[:-1]) / 2
    return float(trapezia.sum() / (annotations[-1] - annotations[0]))
