"""How many annotations an accuracy takes: read off the raw curve of each trial, and compared as ratios."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from dfal_cli.statistics.comparison import per_curve, wider_interval
from dfal_cli.statistics.intervals import UNKNOWN, Values, no_narrower

LEVELS = (
    0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995,
)  # fmt: skip
"""Accuracies that people ask for."""

LEVELS_SHOWN = 6


class Reached(NamedTuple):
    """Where the curve of each trial first reaches an accuracy: annotations, nan where it never does."""

    at: pd.DataFrame
    sooner: pd.DataFrame
    """The same of an accuracy half a step lower ..."""
    later: pd.DataFrame
    """... and of one half a step higher."""
    spent: pd.DataFrame
    """Annotations at the end of the curve."""

    def counted(self, table: pd.DataFrame, strategy: str, trials: "pd.Series[bool]") -> Values:
        """One of the tables for these trials; where one did not get there, what it has spent."""
        return table.loc[trials, strategy].fillna(self.spent[strategy]).to_numpy("float64")


class Needed(NamedTuple):
    """Annotations needed for an accuracy."""

    mean: float
    """Over all trials; where one has not got there, a lower bound: it counts with the annotations it has spent."""
    low: float
    high: float
    """Infinite where a trial only just got there: had half a test image less been right, it would not have."""
    reached: int
    """Trials that got there, of `trials`."""
    trials: int


class Ratio(NamedTuple):
    """Annotations needed as a multiple of another strategy's: geometric mean over trials, with its interval."""

    mean: float
    low: float
    high: float
    bound: str
    """"at most" where the other strategy has not got there in some trial, "at least" where this one has not.

    Where one has not, or only just, the interval is open on that side: low is 0, or high is infinite.
    """

    @property
    def clear(self) -> bool:
        """Whether the interval excludes one."""
        return self.low > 1 or self.high < 1


UNKNOWN_RATIO = Ratio(math.nan, math.nan, math.nan, "")


def annotations_needed(results: pd.DataFrame, level: float) -> pd.DataFrame:
    """Annotations per trial at which the raw curve first reaches an accuracy; nan where it never does.

    Between two rounds the curve is taken as a straight line; beyond the last one it is not drawn out. "First" is
    literal: a curve may dip below the level again, and one that jumps about gets there a little sooner by luck.
    """
    return per_curve(results, lambda annotations, accuracy: _first_reached(annotations, accuracy, level))


def reached_at(results: pd.DataFrame, level: float, step: float = 0.0) -> Reached:
    """Where the curves reach an accuracy, and where they would if all of them lay half a step higher or lower."""
    at, sooner, later = (annotations_needed(results, level + shift) for shift in (0, -step / 2, step / 2))
    return Reached(at, sooner, later, annotations_spent(results))


def annotations_spent(results: pd.DataFrame) -> pd.DataFrame:
    """Annotations per trial at the end of the curve: a level that was not reached needs more than that."""
    return per_curve(results, lambda annotations, _: annotations[-1])


def levels_worth_showing(results: pd.DataFrame) -> list[float]:
    """The highest accuracies that some strategy reaches in at least half of its trials and none has from the start."""
    start = results.loc[results["round"] == results["round"].min(), "accuracy"].max()
    shares = {level: annotations_needed(results, level).notna().mean().max() for level in LEVELS if level > start}
    return [level for level, share in shares.items() if share >= 0.5][-LEVELS_SHOWN:]


def needed(reached: Reached, strategy: str) -> Needed:
    """The mean over trials of the annotations needed; its interval is unknown unless every trial got there."""
    played = reached.spent[strategy].notna()
    values = reached.at.loc[played, strategy]
    mean, *least = (
        float(reached.counted(table, strategy, played).mean()) for table in (reached.at, reached.sooner, reached.later)
    )
    low, high = UNKNOWN
    if values.notna().all():
        low, high = no_narrower(wider_interval(values.to_numpy("float64")), (least[0], least[1]))
    if _is_open(reached.later, strategy, played) and not math.isnan(low):
        high = math.inf
    return Needed(mean, low if math.isnan(low) else max(low, 0.0), high, int(values.notna().sum()), len(values))


def ratio(reached: Reached, strategy: str, baseline: str) -> Ratio:
    """The annotations that `strategy` needs as a multiple of what `baseline` needs.

    A trial that has not got there counts with what it has spent, which bounds the ratio from one side. It is unknown
    (nan) where neither got there in some trial, or each failed in another one.
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
    interval = no_narrower(wider_interval(values), (float(fewest.mean()), float(most.mean())))
    low, high = map(math.exp, interval)
    if _is_open(reached.later, strategy, both):
        high = math.inf
    if _is_open(reached.later, baseline, both):
        low = 0.0
    bound = "at least" if own_open else "at most" if other_open else ""
    return Ratio(math.exp(values.mean()), low, high, bound)


def _is_open(table: pd.DataFrame, strategy: str, trials: "pd.Series[bool]") -> bool:
    """Whether one of these trials did not get there."""
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
