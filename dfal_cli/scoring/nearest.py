"""The N smallest margins of a pool (`--nearest N`), by a walk through the images in order of increasing logit gap.

A margin is at least the logit gap divided by the steepest slope along which the gap can close. Let the threshold be the
N-th smallest margin so far. Once the next logit gap exceeds the threshold times the steepest slope so far times a
safety factor, no later image can be among the N nearest, and most of the pool needs no gradient. The walk gives up an
image as soon as its perturbation is clearly longer than the threshold. Both limits are empirical, so every walk audits
itself: it computes the margins of a random sample of the images it has left out or given up, and continues with a
larger safety factor if it finds one below the threshold.
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
"""Minimum and maximum number of images examined between two updates of the threshold; N / 2 in between. The result must
not depend on the batch size, so this is another number."""

FIRST_FACTOR = 1.5
"""Initial safety factor."""
RAISED_BY = 1.5
"""Multiplies the safety factor after an audit that finds a miss."""

DETOUR = 4 / 3
"""A perturbation may be longer on the way than in the end, so the limit for giving up is wider by this factor."""

AUDITED_SHARE = 0.01
LEAST_AUDITED = 32
"""Size of an audit: a share, but at least a number, of the images never examined, and of those given up."""

CONFIDENCE = 0.95

Margins = TypeVar("Margins", float, npt.NDArray[np.float64])

TIES_RESOLVED = 1000
"""Number of smallest margins among which near-ties are resolved if `--nearest` is not given."""

TOLERANCE = 2e-4, 1e-5
"""Relative and absolute difference below which two float32 margins are a near-tie, whose order is uncertain. On LeNet5,
rounding changed a margin by at most a tenth of that."""


@dataclass(frozen=True)
class Audit:
    """Statistics of a walk, and how certain its result is."""

    examined: int
    """Number of images examined, including audits."""
    given_up: int
    """Number of examined images given up because their perturbation became too long."""
    factor: float
    """The final safety factor."""
    audited: int
    """Number of images in the last audit."""
    missed: int
    """Number of images among the N nearest that audits found at smaller factors; they are in the result."""
    missed_at_most: float
    """Upper 95 % confidence limit of the share of images among the N nearest in those not examined or given up."""
    missing_at_most: int
    """The same limit as a number of images; if it is N, the audit was too small to tell."""


def walk_nearest(pool: PoolMargins, nearest: int, seed: int) -> Audit:
    """Compute all margins that can be among the `nearest` smallest; the other images stay `skipped`."""
    with pool.reporter.progress("finding the nearest", None, "images") as progress:
        walk = _Walk(pool, nearest, progress)
        generator = np.random.default_rng(seed)
        missed = 0
        while True:
            walk.go_on()
            audited, found = walk.audit(generator)
            missed += found
            if found:
                walk.raise_factor()
            elif not walk.candidates():  # the audit may have found a steeper slope, and so new candidates
                break
    left = len(walk.ahead), len(walk.given_up)
    at_most = _missed_at_most(left, audited)
    missing = min(nearest, math.floor(at_most * sum(left)))
    return Audit(walk.examined, left[1], walk.factor, sum(audited), missed, at_most, missing)


def _missed_at_most(left: Sequence[int], audited: Sequence[int]) -> float:
    """Return the upper confidence limit of the share of misses in the images left, if none of the audited is a miss.

    If more than a share u of the images were misses, n audited ones would include none with probability below
    (1 - u) ** n.
    """
    groups = [(remaining, drawn) for remaining, drawn in zip(left, audited, strict=True) if remaining]
    missed = sum(remaining * (1 - ((1 - CONFIDENCE) / len(groups)) ** (1 / drawn)) for remaining, drawn in groups)
    return missed / sum(left) if groups else 0.0


def resolve_ties(pool: PoolMargins, nearest: int | None) -> None:
    """Recompute near-ties among the `nearest` (None: TIES_RESOLVED) smallest margins in float64.

    Rounding in float32 depends on the batch size and decides the order of near-ties, but the queries must not depend on
    the batch size.
    """
    ranked = pool.rows.by_margin()
    margins = pool.rows.margins["margin"][ranked]
    last = margins[: nearest or TIES_RESOLVED].max(initial=0.0)
    considered = int((margins <= _end_of_tie(last)).sum())
    ties = margins[1:considered] < _end_of_tie(margins[:considered][:-1])
    tied = np.zeros(considered, bool)
    tied[:-1] |= ties
    tied[1:] |= ties
    rows = ranked[:considered][tied]
    with pool.reporter.progress("resolving ties", len(rows), "images") as progress:
        pool.add_margins(rows, progress, exact=True)


def _end_of_tie(margin: Margins) -> Margins:
    """Return the largest margin that is a near-tie with this one; elementwise for arrays."""
    relative, absolute = TOLERANCE
    return margin * (1 + relative) + absolute


class _Walk:
    """The state of a walk: images ahead, images given up, and the smallest margins so far."""

    def __init__(self, pool: PoolMargins, nearest: int, progress: Progress) -> None:
        self._pool = pool
        self._progress = progress
        self._gaps = pool.rows.measured["logit_gap"]
        self.ahead = pool.rows.by_logit_gap()
        self._nearest = nearest
        self._chunk = min(max(nearest // 2, CHUNKS[0]), CHUNKS[1])
        self._smallest: list[float] = []  # a heap of the N smallest margins so far, negated: the largest in front
        self._steepest = 0.0  # largest ratio of logit gap to margin so far
        self.factor = FIRST_FACTOR
        self.given_up = self.ahead[:0]
        self._total = len(self.ahead)

    @property
    def examined(self) -> int:
        """Number of images examined."""
        return self._total - len(self.ahead)

    def go_on(self) -> None:
        """Examine chunk after chunk until no image ahead can have a margin below the threshold."""
        while candidates := self.candidates():
            self._expect(candidates)
            chunk, self.ahead = self.ahead[: self._chunk], self.ahead[self._chunk :]
            self._examine(chunk, give_up_beyond=DETOUR * self.factor * self._threshold())
            skipped = self._pool.rows.margins["outcome"][chunk] == OUTCOMES.index(SKIPPED)
            self.given_up = np.append(self.given_up, chunk[skipped])

    def candidates(self) -> int:
        """Return how many of the images ahead may have a margin below the threshold, by the results so far."""
        threshold = self._threshold()
        if math.isinf(threshold):
            return min(len(self.ahead), self._nearest)
        return bisect.bisect_right(self.ahead, self.factor * self._steepest * threshold, key=self._gaps.__getitem__)

    def _expect(self, candidates: int) -> None:
        """Update the total of the progress bar; it stays unknown until N images have been examined."""
        if self.examined < self._nearest < self._total:
            return
        if math.isinf(self._threshold()):  # fewer than N have crossed: all images may be needed
            self._progress.expect(len(self.ahead))
            return
        ahead = min(-(-candidates // self._chunk) * self._chunk, len(self.ahead))
        self._progress.expect(ahead + _audit_size(len(self.ahead) - ahead) + _audit_size(len(self.given_up)))

    def audit(self, generator: np.random.Generator) -> tuple[tuple[int, int], int]:
        """Compute the margins of a random sample of the images never examined, and of those given up.

        Returns the size of each sample, and the number of margins below the threshold.
        """
        self.ahead, skipped = _sampled(self.ahead, generator)
        self.given_up, abandoned = _sampled(self.given_up, generator)
        threshold, audited = self._threshold(), np.append(skipped, abandoned)
        self._examine(audited)
        found = int((self._pool.rows.margins["margin"][audited] < threshold).sum())
        return (len(skipped), len(abandoned)), found

    def raise_factor(self) -> None:
        """Raise the safety factor, and examine images given up once more."""
        self.factor *= RAISED_BY
        self.ahead = self._pool.rows.by_logit_gap(np.append(self.given_up, self.ahead))
        self.given_up = self.ahead[:0]

    def _threshold(self) -> float:
        """Return the N-th smallest margin so far; inf if there are fewer than N."""
        return -self._smallest[0] if len(self._smallest) == self._nearest else math.inf

    def _examine(self, rows: Indices, give_up_beyond: float = math.inf) -> None:
        self._pool.add_margins(rows, self._progress, give_up_beyond=give_up_beyond)
        margins = self._pool.rows.margins["margin"][rows]
        known = np.isfinite(margins)
        for gap, margin in zip(self._gaps[rows][known].tolist(), margins[known].tolist(), strict=True):
            if margin > 0:
                self._steepest = max(self._steepest, gap / margin)
            heapq.heappush(self._smallest, -margin)
            if len(self._smallest) > self._nearest:
                heapq.heappop(self._smallest)


def _sampled(rows: Indices, generator: np.random.Generator) -> tuple[Indices, Indices]:
    """Draw the rows to audit; return the remaining rows and the drawn ones."""
    count = _audit_size(len(rows))
    drawn = np.sort(generator.choice(len(rows), count, replace=False)) if count else np.empty(0, np.int64)
    return np.delete(rows, drawn), rows[drawn]


def _audit_size(count: int) -> int:
    """Return how many of `count` images are audited."""
    return min(count, max(LEAST_AUDITED, round(AUDITED_SHARE * count)))
