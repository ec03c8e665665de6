"""No class is ruled out that could be the nearest."""

import pytest
import torch

from dfal_cli.margins import deepfool


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
