"""Annotations needed for an accuracy, from the raw curve of each trial, and their ratios between strategies."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from dfal_cli.statistics.comparison import per_curve, wider_interval
from dfal_cli.statistics.intervals import UNKNOWN, Values, at_least

LEVELS = (
    0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995,
)  # fmt: skip
"""Accuracies that may be shown in reports."""

LEVELS_SHOWN = 6


class Reached(NamedTuple):
    """`per_trial` tables of the annotations at which curves first reach an accuracy; nan where they never do."""

    at: pd.DataFrame
    sooner: pd.DataFrame
    """For an accuracy half a step lower."""
    later: pd.DataFrame
    """For an accuracy half a step higher."""
    spent: pd.DataFrame
    """Annotations at the end of the curve."""

    def counted(self, table: pd.DataFrame, strategy: str, trials: "pd.Series[bool]") -> Values:
        """Return one of the tables for these trials; trials that did not reach the accuracy count with `spent`."""
        return table.loc[trials, strategy].fillna(self.spent[strategy]).to_numpy("float64")


class Needed(NamedTuple):
    """Annotations needed for an accuracy."""

    mean: float
    """Mean over all trials. It is a lower bound if a trial did not reach the accuracy and counts with `spent`."""
    low: float
    high: float
    """Infinite if a trial would not have reached the accuracy with half a test image less."""
    reached: int
    """Number of trials that reached the accuracy."""
    trials: int


class Ratio(NamedTuple):
    """Ratio of the annotations needed by two strategies: geometric mean over trials, with its interval."""

    mean: float
    low: float
    high: float
    bound: str
    """"at least" if this strategy did not reach the accuracy in some trial, "at most" if the other did not, or "".

    If a strategy did not reach it, or only just, the interval is open on that side: low is 0, or high is infinite.
    """

    @property
    def clear(self) -> bool:
        """Whether the interval excludes one."""
        return self.low > 1 or self.high < 1


UNKNOWN_RATIO = Ratio(math.nan, math.nan, math.nan, "")


def annotations_needed(results: pd.DataFrame, level: float) -> pd.DataFrame:
    """Return the annotations per trial at which the raw curve first reaches an accuracy; nan where it never does.

    The curve is interpolated linearly between rounds and not extrapolated. It may fall below the level again later, so
    a noisy curve reaches a level slightly earlier by chance.
    """
    return per_curve(results, lambda annotations, accuracy: _first_reached(annotations, accuracy, level))


def reached_at(results: pd.DataFrame, level: float, step: float = 0.0) -> Reached:
    """Return where the curves reach an accuracy, and where they would if they were half a step higher or lower."""
    at, sooner, later = (annotations_needed(results, level + shift) for shift in (0, -step / 2, step / 2))
    return Reached(at, sooner, later, annotations_spent(results))


def annotations_spent(results: pd.DataFrame) -> pd.DataFrame:
    """Return the annotations per trial at the end of the curve, a lower bound for levels that were not reached."""
    return per_curve(results, lambda annotations, _: annotations[-1])


def levels_worth_showing(results: pd.DataFrame) -> list[float]:
    """Return the highest accuracies that a strategy reaches in at least half of its trials, but none at the start."""
    start = results.loc[results["round"] == results["round"].min(), "accuracy"].max()
    shares = {level: annotations_needed(results, level).notna().mean().max() for level in LEVELS if level > start}
    return [level for level, share in shares.items() if share >= 0.5][-LEVELS_SHOWN:]


def needed(reached: Reached, strategy: str) -> Needed:
    """Return the mean over trials of the annotations needed; the interval is known if all trials reached the level."""
    simulated = reached.spent[strategy].notna()
    values = reached.at.loc[simulated, strategy]
    mean, sooner, later = (
        float(reached.counted(table, strategy, simulated).mean())
        for table in (reached.at, reached.sooner, reached.later)
    )
    low, high = UNKNOWN
    if values.notna().all():
        low, high = at_least(wider_interval(values.to_numpy("float64")), (sooner, later))
    if _is_open(reached.later, strategy, simulated) and not math.isnan(low):
        high = math.inf
    return Needed(mean, low if math.isnan(low) else max(low, 0.0), high, int(values.notna().sum()), len(values))


def log_ratios(reached: Reached, strategy: str, baseline: str) -> Values:
    """Return the logarithm, per trial, of the ratio of the annotations needed; bounds count as in `ratio`."""
    both = reached.spent[strategy].notna() & reached.spent[baseline].notna()
    own, other = (reached.counted(reached.at, name, both) for name in (strategy, baseline))
    logarithms: Values = np.log(own / other)
    return logarithms


def ratio(reached: Reached, strategy: str, baseline: str) -> Ratio:
    """Return the ratio of the annotations that `strategy` and `baseline` need.

    A trial that did not reach the level counts with its spent annotations, so the ratio is a bound. It is unknown (nan)
    if each strategy failed to reach the level in some trial.
    """
    both = reached.spent[strategy].notna() & reached.spent[baseline].notna()
    own_open, other_open = (_is_open(reached.at, name, both) for name in (strategy, baseline))
    if not both.any() or (own_open and other_open):
        return UNKNOWN_RATIO

    def logarithms(own: pd.DataFrame, other: pd.DataFrame) -> Values:
        own_needed, other_needed = reached.counted(own, strategy, both), reached.counted(other, baseline, both)
        ratios: Values = np.log(own_needed / other_needed)
        return ratios

    values = logarithms(reached.at, reached.at)
    fewest, most = logarithms(reached.sooner, reached.later), logarithms(reached.later, reached.sooner)
    interval = at_least(wider_interval(values), (float(fewest.mean()), float(most.mean())))
    low, high = map(math.exp, interval)
    if _is_open(reached.later, strategy, both):
        high = math.inf
    if _is_open(reached.later, baseline, both):
        low = 0.0
    bound = "at least" if own_open else "at most" if other_open else ""
    return Ratio(math.exp(values.mean()), low, high, bound)


def _is_open(table: pd.DataFrame, strategy: str, trials: "pd.Series[bool]") -> bool:
    """Return whether one of these trials did not reach the level."""
    return bool(table.loc[trials, strategy].isna().any())


def _first_reached(annotations: Values, accuracy: Values, level: float) -> float:
    reached = np.flatnonzero(accuracy >= level)
    if not len(reached):
        return math.nan
    here = reached[0]
    if here == 0:
        return float(annotations[0])
    share = (level - accuracy[here - 1]) / (accuracy[here] - accuracy[here - 1])
    return float(annotations[here - 1] + share * (annotations[here] - annotations[here - 1]))
