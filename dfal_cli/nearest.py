"""Only the margins that can be among the N smallest: a walk through the pool in order of increasing logit gap.

A margin is at least the logit gap over the steepest slope by which the gap can be closed. So where the next gap, at the
steepest slope met so far times a safety factor, leads beyond the N-th smallest margin, no later image can be among the
N nearest, and most of the pool needs no gradient at all. As that bound is empirical, every walk audits itself on images
it has left out, and goes on with a larger factor if it finds one that it should not have.
"""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dfal_cli.schemas import IMAGE
from dfal_cli.scoring import Scorer

CHUNK = 256
"""Images between two looks at the threshold; fixed, so that the batch size changes nothing."""

FIRST_FACTOR = 2.0
RAISED_BY = 1.5

AUDITED_SHARE = 0.005
LEAST_AUDITED = 64
CONFIDENCE = 0.95

SETTLED = 1000
RECOMPUTED = 1.25


@dataclass(frozen=True)
class Audit:
    """How a walk went, and how sure its outcome is."""

    examined: int
    """Images whose margin was computed, those of the audits included."""
    factor: float
    """The safety factor that held."""
    audited: int
    """Images left out that the last audit scored after all."""
    missed: int
    """Images that earlier audits, at lower factors, found to be among the N nearest; they are no longer left out."""
    missed_at_most: float
    """Upper confidence limit (95 %) of the share of the images still left out that are among the N nearest."""


def walk_nearest(scorer: Scorer, rows: Sequence[dict[str, Any]], nearest: int, seed: int) -> Audit:
    """Compute the margins that can be among the `nearest` smallest, and write them into `rows`.

    rows: as `Scorer.rows_of` gives them without margins; those not examined stay `skipped`.
    """
    walk = _Walk(scorer, rows, nearest)
    generator = np.random.default_rng(seed)
    factor, missed = FIRST_FACTOR, 0
    while True:
        walk.go_on(factor)
        audited, found = walk.audit(generator)
        if not found:
            break
        missed += found
        factor *= RAISED_BY
    unsure = 1 - (1 - CONFIDENCE) ** (1 / audited) if audited else 0.0
    return Audit(walk.examined, factor, audited, missed, unsure)


def settle_order(scorer: Scorer, rows: Sequence[dict[str, Any]], nearest: int | None) -> None:
    """Compute the smallest margins once more, in float64: the `nearest` ones, or 1,000, and a quarter more.

    In float32 a margin near 0 is mostly rounding, which another batch size rounds otherwise, and of two that nearly tie
    now one and now the other is the smaller. What people are asked about must not hang on that.
    """
    crossed = [row for row in rows if row["margin"] is not None]
    count = round(RECOMPUTED * (nearest or SETTLED))
    scorer.add_margins(heapq.nsmallest(count, crossed, key=lambda row: (row["margin"], row[IMAGE])), exact=True)


class _Walk:
    """Where the walk has come to."""

    def __init__(self, scorer: Scorer, rows: Sequence[dict[str, Any]], nearest: int) -> None:
        self._scorer = scorer
        finite = (row for row in rows if row["logit_gap"] is not None)
        self._ahead = sorted(finite, key=lambda row: (row["logit_gap"], row[IMAGE]))
        self._nearest = nearest
        self._smallest: list[float] = []  # the N smallest margins so far, negated: a heap has its least in front
        self._steepest = 0.0  # largest logit gap closed per length of margin
        self.examined = 0

    def go_on(self, factor: float) -> None:
        """Examine chunk after chunk, until no image ahead can come below the threshold."""
        with self._scorer.reporter.progress("nearest", len(self._ahead), "images") as advance:
            while self._ahead and self._may_be_nearest(self._ahead[0]["logit_gap"], factor):
                chunk, self._ahead = self._ahead[:CHUNK], self._ahead[CHUNK:]
                self._examine(chunk)
                advance(len(chunk))

    def audit(self, generator: np.random.Generator) -> tuple[int, int]:
        """Score a random part of the images left out; returns how many, and how many were below the threshold."""
        count = min(len(self._ahead), max(LEAST_AUDITED, round(AUDITED_SHARE * len(self._ahead))))
        drawn = np.zeros(len(self._ahead), bool)
        drawn[generator.choice(len(drawn), count, replace=False)] = True
        chosen = [row for row, taken in zip(self._ahead, drawn, strict=True) if taken]
        self._ahead = [row for row, taken in zip(self._ahead, drawn, strict=True) if not taken]
        threshold = self._threshold()
        self._examine(chosen)
        return count, sum(row["margin"] is not None and row["margin"] < threshold for row in chosen)

    def _threshold(self) -> float:
        """The N-th smallest margin so far; inf as long as there are fewer."""
        return -self._smallest[0] if len(self._smallest) == self._nearest else math.inf

    def _may_be_nearest(self, gap: float, factor: float) -> bool:
        threshold = self._threshold()
        return math.isinf(threshold) or gap <= factor * self._steepest * threshold

    def _examine(self, rows: list[dict[str, Any]]) -> None:
        self._scorer.add_margins(rows)
        self.examined += len(rows)
        for row in rows:
            margin = row["margin"]
            if margin is None:
                continue
            if margin > 0:
                self._steepest = max(self._steepest, row["logit_gap"] / margin)
            heapq.heappush(self._smallest, -margin)
            if len(self._smallest) > self._nearest:
                heapq.heappop(self._smallest)
