"""Twins are classified differently wherever, and with whomever, they are classified."""

import pytest
import torch
from torch import nn

from dfal_cli.margins import ESTIMATORS, deepfool
from dfal_cli.margins.crossing import push_across_boundary
from dfal_cli.margins.norms import NORMS
from tests.margins.networks import Then, convolutional_network, linear_network, random_images

COMBINATIONS = [(name, norm) for name in ESTIMATORS for norm in ("l2", "linf")]


def classes_in_batches(model, images, size):
    return torch.cat([model(batch).argmax(1) for batch in images.split(size)])


@pytest.mark.parametrize(("name", "norm"), COMBINATIONS)
@pytest.mark.parametrize("overshoot", [0.0, 0.02])
@pytest.mark.parametrize("clip", [False, True])
def test_twins_differ_from_their_images_in_batches_of_any_size(name, norm, overshoot, clip):
    model, images = convolutional_network(dtype=torch.float32), random_images(40, dtype=torch.float32)
    crossing = ESTIMATORS[name](model, images, norm=norm, overshoot=overshoot, clip=clip)
    twins, across = push_across_boundary(model, images, crossing.adversarial, clip=clip)
    assert across[crossing.crossed].float().mean() > 0.95
    for size in (1, 7, 40):
        differ = classes_in_batches(model, twins, size) != classes_in_batches(model, images, size)
        assert differ[across].all()


@pytest.mark.parametrize(("name", "norm"), COMBINATIONS)
def test_twins_are_at_most_a_thousandth_further_away_than_the_margin(name, norm):
    model, images = convolutional_network(dtype=torch.float32), random_images(40, dtype=torch.float32)
    crossing = ESTIMATORS[name](model, images, norm=norm, overshoot=0.0)
    twins, across = push_across_boundary(model, images, crossing.adversarial, clip=False)
    ordinary = across & (crossing.margin > 1e-3)
    assert ordinary.sum() > 20
    ratio = (NORMS[norm].length(twins - images) / crossing.margin)[ordinary]
    assert (ratio >= 0.99999).all()
    # All but those rare ones that end in a corner of the boundary, where straight on leads back.
    assert (ratio <= 1.00101).float().mean() >= 0.95


def test_a_twin_that_is_across_already_is_left_alone():
    model, images = convolutional_network(), random_images(20)
    adversarial = deepfool(model, images, overshoot=0.1).adversarial
    twins, across = push_across_boundary(model, images, adversarial, clip=False)
    assert across.all()
    assert torch.equal(twins, adversarial)


def test_an_image_on_the_boundary_itself_gets_a_twin_across_it():
    model, images = linear_network(2, dtype=torch.float32), random_images(20, dtype=torch.float32)
    onto = deepfool(model, images, overshoot=0.0).adversarial
    crossing = deepfool(model, onto, overshoot=0.0)
    twins, across = push_across_boundary(model, onto, crossing.adversarial, clip=False)
    assert across.float().mean() > 0.9
    assert (model(twins).argmax(1) != model(onto).argmax(1))[across].all()


def test_images_that_cannot_be_brought_across_are_reported_as_such():
    constant = Then(nn.Flatten(), after=lambda flat: torch.tensor([1.0, 2, 3]).expand(len(flat), 3))
    images = random_images(3)
    _, across = push_across_boundary(constant, images, images + 0.1, clip=False)
    assert not across.any()


def test_clipped_twins_stay_in_the_box():
    model, images = convolutional_network(), random_images(40).round()
    adversarial = deepfool(model, images, overshoot=0.0, clip=True).adversarial
    twins, _ = push_across_boundary(model, images, adversarial, clip=True)
    assert (twins >= 0).all()
    assert (twins <= 1).all()


def test_logits_that_are_not_finite_are_not_across():
    model, images = Then(linear_network(3), after=lambda logits: logits * torch.nan), random_images(3)
    assert not push_across_boundary(model, images, images + 1, clip=False)[1].any()


def test_a_first_layer_that_works_in_place_changes_no_twin():
    class Centred(nn.Module):
        def forward(self, images):
            return images.sub_(0.5)

    model, images = convolutional_network(), random_images(10)
    shifted = Then(model, before=lambda pixels: pixels - 0.5)
    adversarial = deepfool(shifted, images).adversarial
    before = images.clone(), adversarial.clone()
    expected, _ = push_across_boundary(shifted, images, adversarial, clip=False)
    twins, across = push_across_boundary(nn.Sequential(Centred(), model), images, adversarial, clip=False)
    assert torch.equal(images, before[0])
    assert torch.equal(adversarial, before[1])
    assert across.all()
    assert torch.equal(twins, expected)
