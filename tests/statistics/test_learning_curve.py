"""The continuation of a learning curve: the law is found again, and its forecasts are honest."""

import math

import numpy as np
import pytest
from scipy.optimize import curve_fit

from dfal_cli.statistics.learning_curve import Law, fit, forecast, widened

LABELS = np.array([20.0, 40, 60, 80, 100, 140, 200])


def of_law(labels, ceiling=0.93, scale=1.4, exponent=0.6):
    return ceiling - scale * labels**-exponent


def test_a_curve_without_noise_gives_its_law_back() -> None:
    law = fit(LABELS, of_law(LABELS), np.full(len(LABELS), 0.01))
    assert (law.ceiling, law.exponent) == pytest.approx((0.93, 0.6), abs=1e-3)
    assert law.at(np.array([1000.0])) == pytest.approx(of_law(1000), abs=1e-3)


def test_the_labels_for_an_accuracy_invert_the_law() -> None:
    law = Law(0.93, 0.1, 0.5, 200)
    assert law.at(np.array([law.labels_for(0.9)])) == pytest.approx(0.9)
    assert law.labels_for(0.9) == pytest.approx(200 * (0.03 / 0.1) ** (-1 / 0.5))
    assert (law.labels_for(0.93), law.labels_for(0.99)) == (math.inf, math.inf)


def test_the_fit_is_the_least_squares_fit_of_another_optimiser() -> None:
    deviations = np.linspace(0.03, 0.01, len(LABELS))
    accuracies = of_law(LABELS) + np.random.default_rng(1).normal(0, 0.01, len(LABELS))
    law = fit(LABELS, accuracies, deviations)
    start, limits = (0.9, 0.1, 0.5), ([0, 0, 0.1], [1, np.inf, 1])
    other, _ = curve_fit(
        lambda n, a, b, c: a - b * (n / 200) ** -c, LABELS, accuracies, start, deviations, bounds=limits, xtol=1e-12
    )
    assert law.at(LABELS) == pytest.approx(of_curve(other), abs=2e-4)


def of_curve(values):
    ceiling, scale, exponent = values
    return ceiling - scale * (LABELS / 200) ** -exponent


def test_more_test_images_make_the_interval_narrower() -> None:
    accuracies = of_law(LABELS)
    few, many = (forecast(LABELS, accuracies, [images] * 7, 0.88).interval for images in (400, 40_000))
    truth = (1.4 / 0.05) ** (1 / 0.6)
    assert few[0] < many[0] < truth < many[1] < few[1]
    assert forecast(LABELS, accuracies, [40_000] * 7, 0.88).labels == pytest.approx(truth, rel=0.02)


def test_points_that_scatter_more_than_their_test_images_explain_make_it_wider() -> None:
    generator = np.random.default_rng(0)
    calm = of_law(LABELS)
    noisy = calm + generator.choice([-0.02, 0.02], len(LABELS))
    narrow, wide = (forecast(LABELS, each, [100_000] * 7, 0.86).interval for each in (calm, noisy))
    assert wide[1] - wide[0] > 3 * (narrow[1] - narrow[0])


def test_a_target_above_the_ceiling_has_no_end() -> None:
    found = forecast(LABELS, of_law(LABELS), [100_000] * 7, 0.99)
    assert (found.labels, found.interval) == (math.inf, (math.inf, math.inf))


def test_equal_curves_and_seeds_give_equal_intervals() -> None:
    one, other = (forecast(LABELS, of_law(LABELS), [400] * 7, 0.88, seed=3) for _ in range(2))
    assert one == other


def test_an_interval_is_widened_in_the_logarithm_and_does_not_begin_in_the_past() -> None:
    assert widened(200, 400, 800, 100, factor=2) == pytest.approx((100, 1600))
    assert widened(200, 400, 800, 150, factor=2) == pytest.approx((150, 1600))
    assert widened(200, 400, math.inf, 150, factor=1) == (pytest.approx(200), math.inf)
    assert widened(math.inf, math.inf, math.inf, 150) == (math.inf, math.inf)
