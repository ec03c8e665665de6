"""The measures of a linear classifier in closed form are those that its network gives."""

import numpy as np
import pytest
import torch

from dfal_cli.measures import MEASURES, probabilities
from dfal_cli.measures.linear import LINEAR_MEASURES, NOT_LINEAR, uncertainty
from tests.margins.test_closed_form import as_images, as_network, random_head, random_vectors
from tests.measures.networks import SETTINGS


def logits_of(head, vectors):
    weight, bias = head
    return vectors.astype(np.float64) @ weight.T + bias


def test_every_measure_has_a_closed_form_or_a_reason_why_not():
    assert LINEAR_MEASURES.keys() | NOT_LINEAR.keys() == MEASURES.keys()
    assert not LINEAR_MEASURES.keys() & NOT_LINEAR.keys()


@pytest.mark.parametrize("name", LINEAR_MEASURES)
@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize("scale", [1, 30])
def test_the_closed_form_is_what_the_network_gives(name, classes, scale):
    weight, bias = random_head(classes)
    head, vectors = (scale * weight, bias), 2 * random_vectors()
    expected = MEASURES[name].prepare(as_network(*head), SETTINGS)(as_images(vectors)).numpy()
    found = LINEAR_MEASURES[name](logits_of(head, vectors), vectors)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-14)


def test_the_measures_of_uncertainty_are_those_of_the_same_logits_in_a_network():
    logits = 5 * logits_of(random_head(), random_vectors())
    for name, found in uncertainty(logits)._asdict().items():
        np.testing.assert_allclose(found, getattr(probabilities(torch.from_numpy(logits)), name), rtol=1e-12)


def test_a_certain_prediction_has_no_entropy_and_a_gradient_as_long_as_its_doubt():
    logits = np.array([[40.0, 0.0, -1e4]])
    doubt = np.exp(-40.0)
    assert uncertainty(np.array([[1e4, 0.0, -1e4]])).entropy == 0
    egl = LINEAR_MEASURES["egl"](logits, np.zeros((1, 2), np.float32))
    assert egl.item() == pytest.approx(2 * 2**0.5 * doubt)  # p(1) sqrt(2) p(2), and p(2) sqrt(2)


def test_measures_of_logits_that_are_not_finite_are_unknown():
    logits = np.array([[0.0, np.nan], [np.inf, 0.0]])
    for found in (*uncertainty(logits), *(of(logits, np.ones((2, 3), np.float32)) for of in LINEAR_MEASURES.values())):
        assert np.isnan(found).all()
