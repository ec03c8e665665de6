"""Temperature scaling against closed forms and an independent minimisation."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from dfal_cli.statistics.calibration import (
    MIN_EXAMPLES,
    calibrate,
    calibration_error,
    confidence_of,
    error_of_logits,
    fitted_temperature,
    loss,
)


def drawn(count: int, classes: int = 4, sharpened: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax at the temperature `sharpened` is the true distribution of the classes that are drawn."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 2, (count, classes))
    targets = np.array([generator.choice(classes, p=row) for row in softmax(logits, axis=1)])
    return logits * sharpened, targets


def test_two_opposite_logits_have_the_temperature_that_gives_the_share_of_right_answers() -> None:
    """sigmoid(2 a / T) = q, so T = 2 a / log(q / (1 - q)); the prior weighs one example of 100,000."""
    right = 0.8
    count, a = 100_000, 3.0
    targets = (np.arange(count) >= right * count).astype(np.intp)
    logits = np.tile([a, -a], (count, 1))
    assert fitted_temperature(logits, targets) == pytest.approx(2 * a / math.log(right / (1 - right)), rel=1e-4)


@pytest.mark.parametrize("sharpened", [0.4, 1.0, 3.0])
def test_the_temperature_is_that_of_an_independent_minimisation(sharpened: float) -> None:
    """By BFGS over 1 / T with the log-softmax of scipy, with the same prior."""
    logits, targets = drawn(300, sharpened=sharpened)

    def objective(inverse: np.ndarray) -> float:
        rows = log_softmax(logits * inverse[0], axis=1)
        return -rows[np.arange(len(targets)), targets].sum() + math.log(inverse[0]) ** 2 / 2

    found = minimize(objective, [1.0], method="L-BFGS-B", bounds=[(0.02, 50)], tol=1e-12)
    assert fitted_temperature(logits, targets) == pytest.approx(1 / found.x[0], rel=1e-3)


def test_sharpened_logits_get_the_temperature_that_undoes_it_and_the_loss_falls() -> None:
    logits, targets = drawn(4000, sharpened=3.0)
    found = calibrate(logits, targets)
    assert found is not None
    assert found.temperature == pytest.approx(3.0, rel=0.1)
    assert found.loss_after < found.loss_before
    assert found.error_after < found.error_before / 3
    assert found.loss_before == pytest.approx(loss(logits, targets))
    assert found.error_before == pytest.approx(error_of_logits(logits, targets))


def test_the_values_after_are_those_of_examples_that_did_not_choose_their_temperature() -> None:
    logits, targets = drawn(MIN_EXAMPLES, sharpened=3.0)
    found = calibrate(logits, targets)
    assert found is not None
    assert found.loss_after > loss(logits / found.temperature, targets)


def test_examples_that_are_all_right_do_not_make_a_classifier_certain() -> None:
    targets = np.arange(MIN_EXAMPLES) % 3
    logits = 2.0 * np.eye(3)[targets]
    temperature = fitted_temperature(logits, targets)
    assert 0.1 < temperature < 1
    assert confidence_of(logits, temperature).max() < 1


def test_too_few_examples_give_no_temperature_and_those_of_unknown_classes_do_not_count() -> None:
    logits, targets = drawn(MIN_EXAMPLES)
    assert calibrate(logits, targets) is not None
    assert calibrate(logits[1:], targets[1:]) is None
    targets[0] = 4
    assert calibrate(logits, targets) is None


def test_logits_that_are_not_finite_have_no_confidence_and_do_not_count() -> None:
    logits, targets = drawn(MIN_EXAMPLES + 1)
    logits[0, 1] = np.nan
    assert confidence_of(logits)[0] == 0
    assert error_of_logits(logits, targets) < 1
    found = calibrate(logits, targets)
    assert found is not None
    assert found.examples == MIN_EXAMPLES


def test_the_expected_calibration_error_is_the_mean_gap_of_the_bins() -> None:
    """Two bins of ten: 0.95 with 7 right, and 0.55 with 5 right."""
    confidence = np.repeat([0.95, 0.55], 10)
    correct = np.array([True] * 7 + [False] * 3 + [True] * 5 + [False] * 5)
    assert calibration_error(confidence, correct) == pytest.approx((0.25 + 0.05) / 2)
    assert calibration_error(np.ones(4), np.ones(4, bool)) == 0
