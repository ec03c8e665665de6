"""Strategies: which images of a scored pool to ask about. None of them sees a network or an oracle label.

To add one: write a function (scores, count, generator) -> positions of the picked rows in rank order, and give it a
line in STRATEGIES.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from dfal_cli.schemas import IMAGE

Positions = npt.NDArray[np.intp]
Pick = Callable[[pd.DataFrame, int, np.random.Generator], Positions]


@dataclass(frozen=True)
class Strategy:
    """An entry of the table."""

    pick: Pick
    """scores (n rows, one per image, sorted by path), count -> positions of at most count rows, best query first."""
    help: str
    measure: str | None = None
    """The column it sorts by, shown in the query list."""
    needs: tuple[str, ...] = ()
    """Further measures that `score` must have computed."""
    nearest: int = 0
    """Certain margins it needs for each query."""


def by_measure(measure: str, *, descending: bool = False) -> Pick:
    """Sort by one measure; images whose measure is unknown come last, ties are broken by path."""

    def pick(scores: pd.DataFrame, count: int, generator: np.random.Generator) -> Positions:
        values = scores[measure].to_numpy("float64")
        # The rows are sorted by path, so a stable sort leaves ties in that order; nan is sorted last.
        order: Positions = np.argsort(-values if descending else values, kind="stable")
        return order[:count]

    return pick


def at_random(scores: pd.DataFrame, count: int, generator: np.random.Generator) -> Positions:
    """A random subset, in random order."""
    return generator.permutation(len(scores))[:count]


STRATEGIES: dict[str, Strategy] = {
    "dfal": Strategy(
        by_measure("margin"), "the smallest margins (Ducoffe and Precioso, arXiv:1802.09841)", "margin", nearest=1
    ),
    "entropy": Strategy(by_measure("entropy", descending=True), "the highest entropy", "entropy"),
    "least-confidence": Strategy(by_measure("confidence"), "the lowest top probability", "confidence"),
    "probability-gap": Strategy(
        by_measure("probability_gap"), "the smallest gap between the two top probabilities", "probability_gap"
    ),
    "random": Strategy(at_random, "a random subset"),
}


def pick_queries(scores: pd.DataFrame, strategy: str, count: int, seed: int) -> pd.DataFrame:
    """The rows that the strategy picks, in rank order; the order of the rows of `scores` does not matter."""
    by_path = scores.sort_values(IMAGE, kind="stable").reset_index(drop=True)
    positions = STRATEGIES[strategy].pick(by_path, count, np.random.default_rng(seed))
    return by_path.iloc[positions].reset_index(drop=True)
