"""What a control slice (`select --control`) tells: the accuracy on the pool, and what random queries would have found.

Let U_t be the pool that model_t scored, and C_t the slice, a simple random sample of U_t that is drawn before the
strategy picks anything. Neither U_t nor C_t was seen by model_t in training. Let r_t(x) be 1 if model_t predicts the
label of x, else 0. Given everything up to round t, each image of U_t is in C_t with the same probability, so

    E[ mean of r_t over C_t ] = mean of r_t over U_t,

the accuracy of model_t on its pool. The variance of the mean of n of N images is p (1 - p) (N - n) / ((N - 1) n)
(Cochran, Sampling Techniques, 3.3), which is that of n (N - 1) / (N - n) independent draws.

Several rounds: the mean over models, A = sum_t w_t mean(r_t, U_t) with w_t = N_t / sum N, is estimated without bias by
the same sum over the slices, the stratified estimator. The errors of the rounds are uncorrelated, because each has
expectation 0 given the rounds before it, so their variances add. With a common p, the variance is that of

    n* = 1 / sum_t ( w_t^2 (N_t - n_t) / ((N_t - 1) n_t) )

independent draws. The interval is Wilson's for n* draws. (After Yan and Su, Biometrical Journal 52, 2010, who combine
Wilson's intervals of strata.) If accuracies differ between rounds, p (1 - p) of the mean is at least the mean of
p_t (1 - p_t), so that the interval is rather too wide.

Answers: `__skip__` and unanswered images do not count. The rest is a random sample of the usable part of the pool, as
far as whether an image is answered does not depend on what it shows: the ranks of the slice are random, so a list that
is answered from the top is; a list of which only the easy images are answered is not.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from dfal_cli.statistics.intervals import Interval, wilson_interval


class Slice(NamedTuple):
    """The answered and usable control images of one round."""

    pool: int
    """N: number of images in the pool that the slice was drawn from."""
    answered: int
    """n; at least 1."""
    right: int
    """Number of those that the model of the round predicted right."""


class Estimate(NamedTuple):
    """A share with its 95 % interval."""

    share: float
    interval: Interval
    images: int
    """Number of control images that it is measured on."""
    rounds: int


def pool_accuracy(slices: Sequence[Slice]) -> Estimate:
    """Return the accuracy on the pool, of one model or as the mean over the models of several rounds; see above."""
    total = sum(each.pool for each in slices)
    weights = [each.pool / total for each in slices]
    accuracy = sum(weight * each.right / each.answered for weight, each in zip(weights, slices, strict=True))
    variance = sum(
        weight**2 * (each.pool - each.answered) / (max(each.pool - 1, 1) * each.answered)
        for weight, each in zip(weights, slices, strict=True)
    )
    accuracy = min(1.0, accuracy)  # despite rounding
    interval = wilson_interval(accuracy, 1 / variance) if variance > 0 else (accuracy, accuracy)
    return Estimate(accuracy, interval, sum(each.answered for each in slices), len(slices))


class Found(NamedTuple):
    """What the strategy's queries found, and what as many random ones would have found."""

    found: int
    queries: int
    at_random: float
    interval: Interval
    """95 % interval of `at_random`. The queries themselves are all answered, so `found` has no interval."""

    @property
    def more(self) -> Interval:
        """Interval of how many more the strategy found."""
        low, high = self.interval
        return self.found - high, self.found - low


def compared_with_random(chosen: Sequence[tuple[int, int]], slices: Sequence[Slice]) -> Found:
    """Compare, over some rounds, what the strategy's queries found with what the control images predict.

    chosen: (found, queries) of each round. slices: those rounds' slices, in which `right` counts the control images of
    the same kind (such as images that the model had wrong, or those of rare classes).
    """
    queries = sum(count for _, count in chosen)
    at_random = sum(count * each.right / each.answered for (_, count), each in zip(chosen, slices, strict=True))
    variance = sum(
        count**2 * (each.pool - each.answered) / (max(each.pool - 1, 1) * each.answered)
        for (_, count), each in zip(chosen, slices, strict=True)
    )
    share = min(1.0, at_random / queries) if queries else math.nan
    low, high = wilson_interval(share, queries**2 / variance) if variance > 0 else (share, share)
    return Found(sum(found for found, _ in chosen), queries, at_random, (low * queries, high * queries))
