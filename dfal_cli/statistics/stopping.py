"""Stopping rules: whether more labels are still worth their price. They advise; a person decides.

`select --help` reads the table of rules, so this module does not import numpy at the top level.
"""

import math
from collections.abc import Callable, Sequence
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy.typing as npt

    from dfal_cli.statistics.intervals import Interval

PAIRS, STABLE = 3, 0.99
"""Number of pairs of successive models, and their mean agreement, from which predictions count as stable."""

MIN_IMAGES = 30
"""With fewer images, the interval of an accuracy is so wide that any curve seems flat."""

ROUNDS_FLAT = 3
"""Number of further rounds after which the accuracy must still be within its interval of before."""


class Accuracy(NamedTuple):
    """The accuracy of a round."""

    share: float
    interval: "Interval"
    images: int
    """Number of images that it is measured on."""


class History(NamedTuple):
    """What the rules look at, in the order of the rounds."""

    kappas: Sequence[float]
    """Agreement of each scored round with the one before, on the images that both scored."""
    asked_margins: Sequence[float]
    """The median margin of each list so far."""
    smallest_margin: float
    """The smallest margin in the pool now; nan if it is unknown."""
    accuracies: Sequence[Accuracy]
    """All of one kind, such as test accuracies; never on labels that a strategy chose, which get ever harder."""
    measured_on: str
    """That kind in words."""


class Verdict(NamedTuple):
    """Whether a rule holds, and why."""

    holds: bool | None
    """None if it cannot be told yet."""
    reason: str


class Rule(NamedTuple):
    """An entry of the table of rules."""

    help: str
    judge: Callable[[History], Verdict]
    suffices: bool = True
    """Whether it is a reason to stop by itself."""


def cohens_kappa(one: "npt.NDArray[Any]", other: "npt.NDArray[Any]") -> float:
    """Return Cohen's kappa of two arrays of n predictions: agreement beyond chance, 1 if they agree everywhere.

    kappa = (p_o - p_e) / (1 - p_e), with the observed agreement p_o and that of independent predictions with the same
    frequencies, p_e. nan for n = 0.
    """
    import numpy as np

    if not len(one):
        return math.nan
    names, codes = np.unique(np.concatenate([one, other]), return_inverse=True)
    first, second = np.split(codes, 2)
    agreement = float((first == second).mean())
    shares = [np.bincount(each, minlength=len(names)) / len(one) for each in (first, second)]
    by_chance = float(shares[0] @ shares[1])
    return 1.0 if agreement == 1 else (agreement - by_chance) / (1 - by_chance)


def stable(history: History) -> Verdict:
    """Judge by the agreement of successive models (Bloodgood and Vijay-Shanker, CoNLL 2009).

    Their stop set is a fixed random sample; here it is what both models scored, the pool of the later one.
    """
    if len(history.kappas) < PAIRS:
        return Verdict(None, f"known from the scores of {PAIRS + 1} rounds on")
    mean = fmean(history.kappas[-PAIRS:])
    pairs = f"Cohen's kappa of the last {PAIRS} pairs of models is {mean:.3f} on average"
    return Verdict(mean >= STABLE, f"{pairs}, and predictions are stable from {STABLE} on")


def margins(history: History) -> Verdict:
    """Judge by the smallest margin left (after Schohn and Cohn, ICML 2000, who stop when none is within the margin).

    An SVM has a margin of its own; here the usual margin is the median over the lists of their median margins.
    """
    if not history.asked_margins or math.isnan(history.smallest_margin):
        return Verdict(None, "no margins of earlier lists are known")
    usual = median(history.asked_margins)
    left = f"the smallest margin left is {history.smallest_margin:.2g}"
    return Verdict(history.smallest_margin >= usual, f"{left}, and that of queries was usually {usual:.2g}")


def flat(history: History) -> Verdict:
    """Judge by the accuracy: whether it is still within its 95 % interval of three rounds ago, or below."""
    if not history.accuracies:
        return Verdict(None, "needs the accuracy on a test set or on a control slice")
    if len(history.accuracies) <= ROUNDS_FLAT:
        return Verdict(None, f"known from {ROUNDS_FLAT + 1} measured rounds on")
    before, now = history.accuracies[-1 - ROUNDS_FLAT], history.accuracies[-1]
    if (images := min(before.images, now.images)) < MIN_IMAGES:
        return Verdict(
            None, f"{history.measured_on}: {images} images in a round are too few; at least {MIN_IMAGES} are needed"
        )
    words = (
        f"{history.measured_on}: {100 * before.share:.1f} % {ROUNDS_FLAT} rounds ago "
        f"({100 * before.interval[0]:.0f} to {100 * before.interval[1]:.0f}), {100 * now.share:.1f} % now"
    )
    return Verdict(now.share <= before.interval[1], words)


RULES = {
    "stable": Rule("the predictions of successive models hardly differ any more", stable),
    "margins": Rule("no image is as close to a boundary as those asked about usually were", margins),
    # With a few hundred test images, it held 150 labels too early (tests/experiments/README.md#stopping).
    "flat": Rule("the accuracy has not left its interval for three rounds", flat, suffices=False),
}
