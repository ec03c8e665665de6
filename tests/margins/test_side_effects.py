"""An estimator leaves its arguments, and the world, as they were."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn

from dfal_cli.margins import ESTIMATORS
from tests.margins.networks import Then, convolutional_network, random_images

COMBINATIONS = [(name, norm) for name in ESTIMATORS for norm in ("l2", "linf")]

pytestmark = pytest.mark.parametrize(("name", "norm"), COMBINATIONS)


def half_trained():
    """A model in the midst of training: batch norm held in eval mode, one weight frozen, gradients pending."""
    model = convolutional_network(dtype=torch.float32).train()
    model[1].eval()
    model[0].weight.requires_grad_(False)
    for number, parameter in enumerate(model[5:].parameters()):
        parameter.grad = torch.full_like(parameter, float(number))
    return model


def state_of(model):
    return (
        [module.training for module in model.modules()],
        [parameter.requires_grad for parameter in model.parameters()],
        [None if parameter.grad is None else parameter.grad.tolist() for parameter in model.parameters()],
        {name: value.tolist() for name, value in model.state_dict().items()},
    )


def test_mode_requires_grad_and_grad_of_the_model_stay_as_they_were(name, norm):
    model = half_trained()
    before = copy.deepcopy(state_of(model))
    ESTIMATORS[name](model, random_images(5, dtype=torch.float32), norm=norm)
    assert state_of(model) == before


def test_a_model_that_fails_is_left_as_it_was(name, norm):
    model = half_trained()
    before = copy.deepcopy(state_of(model))
    with pytest.raises(RuntimeError):
        ESTIMATORS[name](model, torch.zeros(2, 7, 4, 5), norm=norm)
    assert state_of(model) == before


def test_dropout_and_batch_statistics_are_off(name, norm):
    model, images = half_trained(), random_images(5, dtype=torch.float32)
    expected = ESTIMATORS[name](copy.deepcopy(model).eval(), images, norm=norm).margin
    assert torch.equal(ESTIMATORS[name](model, images, norm=norm).margin, expected)


def test_the_images_stay_as_they_were(name, norm):
    images = random_images(5).requires_grad_()
    before = images.detach().clone()
    crossing = ESTIMATORS[name](convolutional_network(), images, norm=norm)
    assert torch.equal(images, before)
    assert images.grad is None
    assert not crossing.margin.requires_grad
    assert not crossing.adversarial.requires_grad


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("made_inside", [True, False])
def test_it_works_where_gradients_are_switched_off(name, norm, context, made_inside):
    model, outside = convolutional_network(), random_images(8)
    expected = ESTIMATORS[name](model, outside, norm=norm).margin
    with context():
        images = random_images(8) if made_inside else outside
        margin = ESTIMATORS[name](model, images, norm=norm).margin
        assert torch.equal(margin, expected)


def test_nothing_is_drawn_from_the_global_random_generators(name, norm):
    model = half_trained()
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    ESTIMATORS[name](model, random_images(5, dtype=torch.float32), norm=norm)
    after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


class Centred(nn.Module):
    """Shifts its input in place, as the first layer of some people's networks does."""

    def forward(self, images):
        return images.sub_(0.5)


@pytest.mark.parametrize("clip", [False, True])
def test_a_first_layer_that_works_in_place_changes_no_margin(name, norm, clip):
    model, images = convolutional_network(), random_images(8)
    before = images.clone()
    expected = ESTIMATORS[name](Then(model, before=lambda pixels: pixels - 0.5), images, norm=norm, clip=clip).margin
    margin = ESTIMATORS[name](nn.Sequential(Centred(), model), images, norm=norm, clip=clip).margin
    assert torch.equal(images, before)
    torch.testing.assert_close(margin, expected, equal_nan=True)
