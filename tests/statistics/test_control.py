"""The control slice: unbiased, with intervals by closed forms and by brute force over all samples."""

import itertools
import math

import numpy as np
import pytest

from dfal_cli.statistics.control import Slice, compared_with_random, pool_accuracy
from dfal_cli.statistics.intervals import wilson_interval


def test_a_slice_of_a_large_pool_has_wilsons_interval() -> None:
    estimate = pool_accuracy([Slice(10**9, 20, 17)])
    assert (estimate.share, estimate.images, estimate.rounds) == (0.85, 20, 1)
    assert estimate.interval == pytest.approx(wilson_interval(0.85, 20), abs=1e-6)


def test_a_slice_of_the_whole_pool_is_the_truth() -> None:
    estimate = pool_accuracy([Slice(12, 12, 9)])
    assert (estimate.share, estimate.interval) == (0.75, (0.75, 0.75))


def test_the_estimate_is_right_on_average_over_all_slices() -> None:
    is_right = [1, 0, 1, 1, 0, 1, 1]
    estimates = [pool_accuracy([Slice(7, 3, sum(drawn))]).share for drawn in itertools.combinations(is_right, 3)]
    assert np.mean(estimates) == pytest.approx(np.mean(is_right))


def test_the_draws_in_effect_are_those_whose_variance_all_slices_have() -> None:
    """Wilson's half-width at share p tells the number of draws n*; p (1 - p) / n* is the variance over all slices."""
    is_right, size = [1, 0, 1, 1, 0, 1, 1, 0], 4
    shares = [sum(drawn) / size for drawn in itertools.combinations(is_right, size)]
    p = np.mean(is_right)
    in_effect = p * (1 - p) / np.var(shares)
    assert pool_accuracy([Slice(8, 4, 3)]).interval == pytest.approx(wilson_interval(0.75, in_effect))


def test_rounds_are_weighted_by_the_sizes_of_their_pools() -> None:
    one, other = Slice(300, 10, 9), Slice(100, 10, 5)
    assert pool_accuracy([one, other]).share == pytest.approx(0.75 * 0.9 + 0.25 * 0.5)


def test_equal_rounds_are_worth_as_much_as_all_of_their_images() -> None:
    many = pool_accuracy([Slice(10**9, 5, 4)] * 6)
    assert many.interval == pytest.approx(wilson_interval(0.8, 30), abs=1e-6)
    assert (many.images, many.rounds) == (30, 6)


def test_the_interval_of_several_rounds_holds_the_mean_accuracy_of_their_models() -> None:
    generator, held = np.random.default_rng(0), 0
    pools = [generator.random(size) < share for size, share in ((900, 0.6), (880, 0.8), (860, 0.9))]
    truth = np.average([pool.mean() for pool in pools], weights=[len(pool) for pool in pools])
    for _ in range(400):
        slices = [Slice(len(pool), 8, int(generator.choice(pool, 8, replace=False).sum())) for pool in pools]
        low, high = pool_accuracy(slices).interval
        held += low <= truth <= high
    assert 0.93 <= held / 400 <= 0.995


def test_what_random_queries_would_have_found_is_extrapolated_from_the_slice() -> None:
    found = compared_with_random([(16, 36)], [Slice(10**9, 4, 1)])
    low, high = wilson_interval(0.25, 4)
    assert (found.found, found.queries, found.at_random) == (16, 36, 9.0)
    assert found.interval == pytest.approx((36 * low, 36 * high), abs=1e-5)
    assert found.more == pytest.approx((16 - 36 * high, 16 - 36 * low), abs=1e-5)


def test_what_random_queries_would_have_found_adds_up_over_rounds() -> None:
    found = compared_with_random([(16, 36), (4, 12)], [Slice(10**9, 4, 1), Slice(10**9, 6, 3)])
    assert (found.found, found.queries, found.at_random) == (20, 48, 36 / 4 + 12 / 2)
    in_effect = 48**2 / (36**2 / 4 + 12**2 / 6)
    assert found.interval == pytest.approx(tuple(48 * end for end in wilson_interval(15 / 48, in_effect)), abs=1e-5)
    assert math.isfinite(found.more[0])
