"""The closed form of the margins of a linear classifier."""

import numpy as np
import pytest
import torch
from torch import nn

from dfal_cli.margins import ESTIMATORS, deepfool
from dfal_cli.margins import linear as module
from dfal_cli.margins.linear import NORMS, LinearBoundaries, linear_margins

ORDER = {"l2": 2, "linf": np.inf}
"""The order of each norm, for np.linalg.norm."""


def random_head(classes=5, dimension=12, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(classes, dimension)), generator.normal(size=classes) / 10


def random_vectors(count=200, dimension=12, seed=1):
    vectors = np.random.default_rng(seed).normal(size=(count, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def as_network(weight, bias, dtype=torch.float64):
    layer = nn.Linear(*weight.shape[::-1]).to(dtype)
    layer.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
    return nn.Sequential(nn.Flatten(), layer)


def as_images(vectors, dtype=torch.float64):
    return torch.from_numpy(vectors).to(dtype)[:, :, None, None]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("classes", [2, 3, 100])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_estimators_on_the_head_alone_find_the_same_margins(estimator, classes, norm):
    head, vectors = random_head(classes), random_vectors()
    network, images = as_network(*head), as_images(vectors)
    crossing = ESTIMATORS[estimator](network, images, norm=norm, overshoot=0.0)
    margins = linear_margins(vectors, *head, norm)
    crossed = crossing.crossed.numpy()
    assert crossed.mean() > 0.5, "without overshoot, some end on the boundary"
    np.testing.assert_allclose(crossing.margin.numpy()[crossed], margins.margin[crossed], rtol=1e-4)
    np.testing.assert_array_equal(crossing.crossing_class.numpy()[crossed], margins.crossing_class[crossed])
    np.testing.assert_array_equal(network(images).argmax(1).numpy(), margins.predicted)


@pytest.mark.parametrize("norm", NORMS)
def test_no_shorter_way_changes_the_prediction_and_a_slightly_longer_one_does(norm):
    """Brute force: from each vector, straight ahead to the boundary of each class, and in random directions."""
    (weight, bias), vectors = random_head(4, 3), random_vectors(50, 3).astype(np.float64)
    margins = linear_margins(vectors, weight, bias, norm)
    directions = np.random.default_rng(2).normal(size=(20_000, 3))
    directions /= np.linalg.norm(directions, ORDER[norm], axis=1, keepdims=True)
    for vector, predicted, margin in zip(vectors, margins.predicted, margins.margin, strict=True):
        assert ((vector + 0.999 * margin * directions) @ weight.T + bias).argmax(1).tolist() == [predicted] * 20_000
        assert (((vector + 1.05 * margin * directions) @ weight.T + bias).argmax(1) != predicted).any()


def test_margins_do_not_depend_on_the_other_vectors_nor_on_the_blocks(monkeypatch):
    head, vectors = random_head(), random_vectors(100)
    together = linear_margins(vectors, *head)
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 7)
    for one, other in zip(together, linear_margins(vectors, *head), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    alone = linear_margins(vectors[:1], *head)
    np.testing.assert_allclose(alone.margin, together.margin[:1], rtol=1e-12)


def test_margins_that_float32_cannot_tell_apart_are_ordered():
    weight, bias = np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([1e6, -1e6])
    vectors = np.array([[0.3, 0.0], [0.2, 0.0], [0.1, 0.0]], np.float32)
    assert linear_margins(vectors, weight, bias).margin.argsort().tolist() == [2, 1, 0]


def test_of_equally_near_classes_the_first_is_crossed_to_and_of_equal_logits_the_first_is_predicted():
    weight, bias = np.array([[0.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]), np.zeros(5)
    margins = linear_margins(np.array([[0, 3], [0, 0], [0.5, -0.5]], np.float32), weight, bias)
    assert margins.predicted.tolist() == [3, 0, 2]
    assert margins.crossing_class.tolist() == [1, 1, 4]
    assert margins.margin.tolist() == pytest.approx([3 / 2**0.5, 0, 0])


def test_a_class_with_the_weights_of_the_predicted_one_is_never_crossed_to():
    weight, bias = np.array([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]]), np.array([0.0, -0.001, 0.0])
    margins = linear_margins(np.array([[0.5, 0.5]], np.float32), weight, bias)
    assert (margins.margin.item(), margins.crossing_class.item()) == (0.5, 2)
    assert deepfool(as_network(weight, bias), as_images(np.array([[0.5, 0.5]]))).crossing_class.item() == 2


def test_a_class_that_is_predicted_nowhere_is_never_the_nearest():
    weight, bias = np.array([[1.0, 0.0], [0.0, 0.0], [-1.0, 0.0]]), np.array([0.0, -5.0, 0.0])
    assert 1 not in linear_margins(random_vectors(100, 2), weight, bias).crossing_class


@pytest.mark.parametrize("bias", [[0.0, 0.0], [1.0, 0.0]], ids=["equal", "constant"])
def test_without_a_boundary_there_is_no_margin(bias):
    margins = linear_margins(random_vectors(3), np.ones((2, 12)), np.array(bias))
    assert np.isnan(margins.margin).all()
    assert margins.predicted.tolist() == [0, 0, 0]
    assert margins.crossing_class.tolist() == [-1, -1, -1]


def test_logits_that_are_not_finite_have_no_prediction_and_no_margin():
    vectors = random_vectors(3)
    vectors[1, 4], vectors[2, 0] = np.nan, np.inf
    margins = linear_margins(vectors, *random_head())
    assert np.isfinite(margins.margin).tolist() == [True, False, False]
    assert (margins.predicted[1:].tolist(), margins.crossing_class[1:].tolist()) == ([-1, -1], [-1, -1])


def test_no_vectors_have_no_margins():
    assert [len(each) for each in linear_margins(random_vectors(0), *random_head())] == [0, 0, 0]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("overshoot", [0.0, 0.02, 0.5])
def test_a_vector_moved_across_is_beyond_its_nearest_boundary_by_the_overshoot(overshoot, norm):
    head, vectors = random_head(), random_vectors()
    margins = linear_margins(vectors, *head, norm)
    moved, across = LinearBoundaries(*head, norm).across(vectors, overshoot)
    assert (moved.dtype, across.all()) == (np.float32, True)
    np.testing.assert_array_equal(linear_margins(moved, *head, norm).predicted, margins.crossing_class)
    lengths = np.linalg.norm(moved - vectors, ORDER[norm], axis=1)
    np.testing.assert_allclose(lengths, (1 + overshoot) * margins.margin, rtol=1e-4, atol=1e-4)


def test_a_vector_on_a_boundary_is_moved_clearly_across():
    weight, bias = np.array([[1.0, 0.0], [-1.0, 0.0]]), np.zeros(2)
    moved, across = LinearBoundaries(weight, bias).across(np.array([[0, 1]], np.float32), 0.02)
    logits = moved @ weight.astype(np.float32).T
    assert across.all()
    assert 0 < logits[0, 1] - logits[0, 0] < 1e-4
