"""Only the margins that can be among the N smallest: a walk through the pool in order of increasing logit gap.

A margin is at least the logit gap over the steepest slope by which the gap can be closed. So where the next gap, at the
steepest slope met so far times a safety factor, leads beyond the N-th smallest margin, no later image can be among the
N nearest, and most of the pool needs no gradient at all. An image that is begun is given up as soon as its perturbation
is clearly longer than that margin. As both bounds are empirical, every walk audits itself on images it has left out or
given up, and goes on with a larger factor if it finds one that it should not have.
"""

import bisect
import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from dfal_cli.schemas import SKIPPED
from dfal_cli.scoring.rows import OUTCOMES, Indices
from dfal_cli.scoring.scored import PoolMargins
from dfal_cli.system.progress import Progress

CHUNKS = (32, 1024)
"""Least and largest number of images between two looks at the threshold: half as many as are wanted. It is not the
batch size, which changes nothing."""

FIRST_FACTOR = 1.5
RAISED_BY = 1.5

DETOUR = 4 / 3
"""A perturbation may for a while be longer than in the end: images are given up at so much more than the factor."""

AUDITED_SHARE = 0.01
LEAST_AUDITED = 32
"""Of the images never begun, and of those given up, so many or such a share are scored after all."""

CONFIDENCE = 0.95

Margins = TypeVar("Margins", float, npt.NDArray[np.float64])

SETTLED = 1000
DOUBTFUL = 2e-4, 1e-5
"""Margins nearer to each other than this share of them, or this length, may be in the wrong order. On a LeNet5 rounding
changed a margin by at most a tenth of that."""


@dataclass(frozen=True)
class Audit:
    """How a walk went, and how sure its outcome is."""

    examined: int
    """Images begun, those of the audits included."""
    given_up: int
    """Of those, not finished, because they were going too far."""
    factor: float
    """The safety factor that held."""
    audited: int
    """Images left out or given up that the last audit scored after all."""
    missed: int
    """Images that earlier audits, at lower factors, found to be among the N nearest; they are no longer left out."""
    missed_at_most: float
    """Upper confidence limit (95 %) of the share of the images still left out that are among the N nearest."""
    missing_at_most: int
    """The same in images; N says no more than that the audit was too small to tell."""


def walk_nearest(pool: PoolMargins, nearest: int, seed: int) -> Audit:
    """Compute the margins that can be among the `nearest` smallest; the other images stay `skipped`."""
    with pool.reporter.progress("nearest", None, "images") as progress:
        walk = _Walk(pool, nearest, progress)
        generator = np.random.default_rng(seed)
        missed = 0
        while True:
            walk.go_on()
            audited, found = walk.audit(generator)
            missed += found
            if found:
                walk.raise_factor()
            elif not walk.candidates():  # an audit may also have met a steeper slope
                break
    left = len(walk.ahead), len(walk.given_up)
    at_most = _missed_at_most(left, audited)
    missing = min(nearest, math.floor(at_most * sum(left)))
    return Audit(walk.examined, left[1], walk.factor, sum(audited), missed, at_most, missing)


def _missed_at_most(left: Sequence[int], audited: Sequence[int]) -> float:
    """The share of the images left that may be among the nearest although none of those audited was.

    If more than a share u of them were, n audited ones would find none with probability below (1 - u) ** n.
    """
    groups = [(remaining, drawn) for remaining, drawn in zip(left, audited, strict=True) if remaining]
    missed = sum(remaining * (1 - ((1 - CONFIDENCE) / len(groups)) ** (1 / drawn)) for remaining, drawn in groups)
    return missed / sum(left) if groups else 0.0


def resolve_ties(pool: PoolMargins, nearest: int | None) -> None:
    """Compute those of the smallest margins (the `nearest` ones, or 1,000) once more, in float64, that nearly tie.

    In float32 a margin near 0 is mostly rounding, which another batch size rounds otherwise, and of two that nearly tie
    now one and now the other is the smaller. What people are asked about must not hang on that.
    """
    ranked = pool.rows.by_margin()
    margins = pool.rows.margins["margin"][ranked]
    last = margins[: nearest or SETTLED].max(initial=0.0)
    considered = int((margins <= _doubtful_up_to(last)).sum())
    ties = margins[1:considered] < _doubtful_up_to(margins[:considered][:-1])
    doubtful = np.zeros(considered, bool)
    doubtful[:-1] |= ties
    doubtful[1:] |= ties
    places = ranked[:considered][doubtful]
    with pool.reporter.progress("settling the order", len(places), "images") as progress:
        pool.add_margins(places, progress, exact=True)


def _doubtful_up_to(margin: Margins) -> Margins:
    """The largest margin that may in truth be smaller than this one; of several at once."""
    share, length = DOUBTFUL
    return margin * (1 + share) + length


class _Walk:
    """Where the walk has come to."""

    def __init__(self, pool: PoolMargins, nearest: int, progress: Progress) -> None:
        self._pool = pool
        self._progress = progress
        self._gaps = pool.rows.measured["logit_gap"]
        self.ahead = pool.rows.by_logit_gap()
        self._nearest = nearest
        self._chunk = min(max(nearest // 2, CHUNKS[0]), CHUNKS[1])
        self._smallest: list[float] = []  # the N smallest margins so far, negated: a heap has its least in front
        self._steepest = 0.0  # largest logit gap closed per length of margin
        self.factor = FIRST_FACTOR
        self.given_up = self.ahead[:0]
        self._total = len(self.ahead)

    @property
    def examined(self) -> int:
        """Number of images begun."""
        return self._total - len(self.ahead)

    def go_on(self) -> None:
        """Examine chunk after chunk, until no image ahead can come below the threshold."""
        while candidates := self.candidates():
            self._expect(candidates)
            chunk, self.ahead = self.ahead[: self._chunk], self.ahead[self._chunk :]
            self._examine(chunk, give_up_beyond=DETOUR * self.factor * self._threshold())
            skipped = self._pool.rows.margins["outcome"][chunk] == OUTCOMES.index(SKIPPED)
            self.given_up = np.append(self.given_up, chunk[skipped])

    def candidates(self) -> int:
        """How many of the images ahead have to be examined, as far as is known by now."""
        threshold = self._threshold()
        if math.isinf(threshold):
            return min(len(self.ahead), self._nearest)
        return bisect.bisect_right(self.ahead, self.factor * self._steepest * threshold, key=self._gaps.__getitem__)

    def _expect(self, candidates: int) -> None:
        """Say how many images are still to be examined; with no threshold yet, nobody knows."""
        if self.examined < self._nearest < self._total:
            return
        if math.isinf(self._threshold()):  # too few cross: it may take all
            self._progress.expect(len(self.ahead))
            return
        ahead = min(-(-candidates // self._chunk) * self._chunk, len(self.ahead))
        self._progress.expect(ahead + _audit_size(len(self.ahead) - ahead) + _audit_size(len(self.given_up)))

    def audit(self, generator: np.random.Generator) -> tuple[tuple[int, int], int]:
        """Score a random part of the images never begun, and of those given up.

        Returns how many of each, and how many of all were below the threshold.
        """
        self.ahead, skipped = _divided(self.ahead, generator)
        self.given_up, abandoned = _divided(self.given_up, generator)
        threshold, audited = self._threshold(), np.append(skipped, abandoned)
        self._examine(audited)
        found = int((self._pool.rows.margins["margin"][audited] < threshold).sum())
        return (len(skipped), len(abandoned)), found

    def raise_factor(self) -> None:
        """Be more careful from here on; what was given up lies ahead again."""
        self.factor *= RAISED_BY
        self.ahead = self._pool.rows.by_logit_gap(np.append(self.given_up, self.ahead))
        self.given_up = self.ahead[:0]

    def _threshold(self) -> float:
        """The N-th smallest margin so far; inf as long as there are fewer."""
        return -self._smallest[0] if len(self._smallest) == self._nearest else math.inf

    def _examine(self, places: Indices, give_up_beyond: float = math.inf) -> None:
        self._pool.add_margins(places, self._progress, give_up_beyond=give_up_beyond)
        margins = self._pool.rows.margins["margin"][places]
        known = np.isfinite(margins)
        for gap, margin in zip(self._gaps[places][known].tolist(), margins[known].tolist(), strict=True):
            if margin > 0:
                self._steepest = max(self._steepest, gap / margin)
            heapq.heappush(self._smallest, -margin)
            if len(self._smallest) > self._nearest:
                heapq.heappop(self._smallest)


def _divided(places: Indices, generator: np.random.Generator) -> tuple[Indices, Indices]:
    """Images that are left alone, and images drawn to be audited."""
    count = _audit_size(len(places))
    drawn = np.sort(generator.choice(len(places), count, replace=False)) if count else np.empty(0, np.int64)
    return np.delete(places, drawn), places[drawn]


def _audit_size(count: int) -> int:
    """How many of so many images are audited."""
    return min(count, max(LEAST_AUDITED, round(AUDITED_SHARE * count)))
