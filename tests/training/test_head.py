"""Heads: the minimum of the documented objective, by its gradient and by an independent optimiser."""

import numpy as np
import pytest
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from dfal_cli.tables.vectors import Values, unit_length
from dfal_cli.training.head import (
    LABELS_PER_CLASS,
    STRENGTH,
    STRENGTHS,
    Head,
    Targets,
    cross_entropy,
    fit_head,
    folds_of,
    held_out_logits,
)

SIZES = pytest.mark.parametrize(
    ("count", "dimension", "classes"), [(12, 40, 3), (60, 5, 3), (12, 40, 2), (60, 5, 2)], ids=str
)


def drawn(count: int, dimension: int, classes: int, noise: float = 1.0, seed: int = 0) -> tuple[Values, Targets]:
    """Unit vectors in overlapping clusters, one for each class."""
    generator = np.random.default_rng(seed)
    targets = np.arange(count) % classes
    centres = generator.standard_normal((classes, dimension))
    points = centres[targets] + noise * generator.standard_normal((count, dimension)) + 0.5
    return unit_length(points.astype(np.float32)), targets


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def weights_of(targets: Targets, balanced: bool) -> np.ndarray:
    """The weight of each example; 1 on average."""
    weights = 1 / np.bincount(targets)[targets] if balanced else np.ones(len(targets))
    return weights / weights.mean()


def objective(head: Head, vectors: Values, targets: Targets, balanced: bool) -> float:
    each = cross_entropy(head.logits(vectors), targets)
    return float((weights_of(targets, balanced) * each).mean() + head.strength / 2 * (head.weight**2).sum())


@SIZES
@pytest.mark.parametrize("balanced", [False, True])
def test_the_gradient_of_the_documented_objective_is_zero(
    count: int, dimension: int, classes: int, balanced: bool
) -> None:
    vectors, targets = drawn(count, dimension, classes)
    targets[:5] = 0
    head = fit_head(vectors, targets, classes, strength=1e-3, balanced=balanced)
    excess = softmax(head.logits(vectors)) - np.eye(classes)[targets]
    excess *= weights_of(targets, balanced)[:, None] / count
    assert np.abs(excess.T @ vectors + head.strength * head.weight).max() < 2e-6
    assert np.abs(excess.sum(0)).max() < 2e-6


@SIZES
def test_an_independent_optimiser_finds_no_lower_value(count: int, dimension: int, classes: int) -> None:
    vectors, targets = drawn(count, dimension, classes)
    head = fit_head(vectors, targets, classes, strength=1e-2)

    def value(numbers: np.ndarray) -> float:
        weight, bias = numbers[:-classes].reshape(classes, -1), numbers[-classes:]
        return objective(Head(weight, bias, 1e-2, ""), vectors, targets, balanced=False)

    found = minimize(value, np.zeros(classes * (dimension + 1)), method="BFGS", options={"gtol": 1e-6})
    assert objective(head, vectors, targets, balanced=False) == pytest.approx(found.fun, abs=1e-7)
    np.testing.assert_allclose(head.weight.ravel(), found.x[:-classes], atol=2e-3)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_a_class_without_labels_is_never_predicted_and_does_not_change_the_others(classes: int) -> None:
    vectors, targets = drawn(40, 8, classes)
    head = fit_head(vectors, targets, classes, strength=1e-3)
    wider = fit_head(vectors, targets + 1, classes + 2, strength=1e-3)  # the first and the last have no labels
    np.testing.assert_array_equal(wider.weight[1:-1], head.weight)
    others = unit_length(np.random.default_rng(1).standard_normal((1000, 8), np.float32))
    np.testing.assert_allclose(softmax(wider.logits(others))[:, 1:-1], softmax(head.logits(others)), atol=1e-8)
    assert np.isfinite(wider.bias).all()


def test_a_single_class_is_always_predicted() -> None:
    vectors, _ = drawn(6, 4, 2)
    logits = fit_head(vectors, np.full(6, 1), 3).logits(vectors)
    assert (logits.argmax(1) == 1).all()
    assert softmax(logits)[:, 1].min() > 1 - 1e-8


def test_equal_inputs_give_equal_bytes() -> None:
    vectors, targets = drawn(100, 30, 4)
    heads = [fit_head(vectors, targets, 4) for _ in range(2)]
    assert heads[0].weight.tobytes() == heads[1].weight.tobytes()
    assert heads[0].bias.tobytes() == heads[1].bias.tobytes()


def test_the_strength_is_fixed_for_few_labels_and_cross_validated_for_more() -> None:
    vectors, targets = drawn(3 * LABELS_PER_CLASS, 10, 3)
    few, many = fit_head(vectors[:-1], targets[:-1], 3), fit_head(vectors, targets, 3)
    assert (few.strength, few.how) == (STRENGTH, "fixed")
    assert many.strength in STRENGTHS
    assert many.how == "cross-validated"
    assert fit_head(vectors, targets, 3, strength=0.5)[2:] == (0.5, "given")


@pytest.mark.parametrize("seed", range(5))
def test_cross_validation_chooses_a_strong_penalty_for_labels_that_are_noise_and_a_weak_one_for_clean_ones(
    seed: int,
) -> None:
    vectors, targets = drawn(200, 20, 4, noise=0.2, seed=seed)
    assert fit_head(vectors, targets, 4).strength == min(STRENGTHS)
    shuffled = np.random.default_rng(seed).permutation(targets)
    assert fit_head(vectors, shuffled, 4).strength == max(STRENGTHS)


def test_folds_spread_every_class_evenly_and_divide_no_group() -> None:
    generator = np.random.default_rng(0)
    targets = generator.choice(4, 103, p=[0.6, 0.2, 0.15, 0.05])
    counts = np.array([np.bincount(targets[folds_of(targets) == fold], minlength=4) for fold in range(5)])
    assert (np.ptp(counts, axis=0) <= 1).all()
    groups = np.concatenate([np.arange(103), np.arange(0, 103, 2)])  # every other one has a twin
    folds = folds_of(targets[groups], groups)
    np.testing.assert_array_equal(folds[103:], folds[:103:2])


@pytest.mark.parametrize("classes", [2, 4])
def test_held_out_logits_are_those_of_a_head_that_has_not_seen_the_example(classes: int) -> None:
    vectors, targets = drawn(50, 10, classes)
    logits, folds = held_out_logits(vectors, targets, classes, strength=1e-2), folds_of(targets)
    for fold in range(5):
        others = fit_head(vectors[folds != fold], targets[folds != fold], classes, strength=1e-2)
        np.testing.assert_allclose(logits[folds == fold], others.logits(vectors[folds == fold]), atol=0.02)


def test_cross_validation_leaves_out_examples_of_a_class_that_no_other_fold_has() -> None:
    vectors, targets = drawn(100, 11, 2, noise=0.2)
    vectors[:, -1] = 0
    vectors[0], targets[0] = np.eye(11)[-1], 2  # far from all others
    assert fit_head(vectors, targets, 3).strength == fit_head(vectors[1:], targets[1:], 3).strength == min(STRENGTHS)
    assert held_out_logits(vectors, targets, 3, strength=1e-3)[0].argmax() != 2


def test_a_head_is_the_same_on_any_number_of_cores() -> None:
    vectors, targets = drawn(400, 300, 10)
    heads = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            heads.append(fit_head(vectors, targets, 10))
    np.testing.assert_array_equal(heads[0].weight, heads[1].weight)
