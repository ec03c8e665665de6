"""No class is ruled out that could be the nearest."""

import pytest
import torch

from dfal_cli.margins import deepfool
from tests.margins.networks import convolutional_network, random_images


def test_a_class_far_steeper_than_the_others_is_found_though_its_gap_is_the_largest():
    # gaps 1 and 10, gradient norms 1 and 100: the second class is ten times nearer
    layer = torch.nn.Linear(4, 3, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[1, 0], layer.weight[2, 1] = 1.0, 100.0
        layer.bias.copy_(torch.tensor([10.0, 9.0, 0.0]))
    crossing = deepfool(torch.nn.Sequential(torch.nn.Flatten(), layer), torch.zeros(1, 1, 2, 2, dtype=torch.float64))
    assert crossing.margin.item() == pytest.approx(0.1 * 1.02)
    assert crossing.crossing_class.item() == 2


def test_a_last_layer_of_two_inputs_does_not_hide_a_class_that_they_are_steep_in():
    # gaps 1 and 10; the second class hangs on a feature that is a hundred times as steep
    features, head = torch.nn.Linear(4, 2, bias=False, dtype=torch.float64), torch.nn.Linear(2, 3, dtype=torch.float64)
    with torch.no_grad():
        features.weight.copy_(torch.tensor([[1.0, 0, 0, 0], [0, 100, 0, 0]]))
        head.weight.copy_(torch.tensor([[0.0, 0], [1, 0], [0, 1]]))
        head.bias.copy_(torch.tensor([10.0, 9.0, 0.0]))
    model = torch.nn.Sequential(torch.nn.Flatten(), features, head)
    crossing = deepfool(model, torch.zeros(1, 1, 2, 2, dtype=torch.float64))
    assert crossing.margin.item() == pytest.approx(0.1 * 1.02)


def test_an_image_given_up_has_gone_too_far_and_has_not_crossed():
    model, images = convolutional_network(), random_images(40)
    margin = deepfool(model, images).margin
    limit = margin.median().item() / 2
    crossing = deepfool(model, images, give_up_beyond=limit)
    gone = (crossing.adversarial - images).flatten(1).norm(dim=1)
    assert (crossing.crossed | (gone > limit)).all()
    assert 0 < crossing.crossed.sum() < 20
    torch.testing.assert_close(crossing.margin[crossing.crossed], margin[crossing.crossed])
