"""Margins of networks that are not linear, against their exact distances."""

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import nnls
from torch import nn

from dfal_cli.margins import ESTIMATORS
from tests.margins.networks import fill


class Sphere(nn.Module):
    """Logits (R^2, |x|^2): the boundary is the sphere of radius R."""

    radius = 1.0

    def forward(self, images):
        squares = images.flatten(1).square().sum(1)
        return torch.stack([torch.full_like(squares, self.radius**2), squares], 1)


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("start", [0.2, 0.5, 0.8, 0.95, 1.05, 1.5, 3.0])
def test_no_margin_is_below_the_distance_to_a_sphere_and_close_to_it_where_it_is_near(name, start):
    directions = torch.randn(10, 1, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    images = start * directions / torch.linalg.vector_norm(directions.flatten(1), dim=1)[:, None, None, None]
    crossing = ESTIMATORS[name](Sphere(), images, overshoot=0.0)
    margin, exact = crossing.margin[crossing.crossed], abs(start - 1)
    assert len(margin) >= 5  # some may stay on the sphere itself
    assert (margin >= exact * (1 - 1e-9)).all()
    assert (margin <= 5 * exact).all()
    if exact <= 0.05:
        assert (margin <= 1.1 * exact).all()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_centre_of_a_sphere_has_no_gradient_and_no_margin(name):
    crossing = ESTIMATORS[name](Sphere(), torch.zeros(1, 1, 3, 3))
    assert not crossing.crossed.any()
    assert crossing.margin.isnan().all()


def least_distance(rows: np.ndarray, bounds: np.ndarray) -> float:
    """min |r| such that rows r >= bounds, by non-negative least squares (Lawson and Hanson); inf if there is none."""
    target = np.zeros(rows.shape[1] + 1)
    target[-1] = 1
    solution, distance = nnls(np.vstack([rows.T, bounds]), target)
    if distance < 1e-9:
        return np.inf
    residual = np.vstack([rows.T, bounds]) @ solution - target
    return float(np.linalg.norm(residual[:-1] / residual[-1]))


def exact_margin(model: nn.Sequential, point: np.ndarray) -> float:
    """The L2 distance to the nearest other class of a network of one hidden ReLU layer, by its activation patterns."""
    inner, inner_bias, outer, outer_bias = (p.detach().double().numpy() for p in model.parameters())
    logits = outer @ np.maximum(inner @ point + inner_bias, 0) + outer_bias
    predicted = int(logits.argmax())
    hidden = inner @ point + inner_bias
    nearest = np.inf
    for pattern in itertools.product((0.0, 1.0), repeat=len(hidden)):
        active = np.array(pattern)
        signs = 2 * active - 1
        slopes = (outer * active) @ inner
        values = (outer * active) @ hidden + outer_bias  # the logits at `point`, were this its pattern
        for other in set(range(len(logits))) - {predicted}:
            rows = np.vstack([signs[:, None] * inner, slopes[other] - slopes[predicted]])
            bounds = np.append(-signs * hidden, values[predicted] - values[other])
            nearest = min(nearest, least_distance(rows, bounds))
    return nearest


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_margin_is_below_the_exact_one_of_a_small_relu_network(name, seed):
    model = fill(nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), seed).double()
    images = torch.rand(6, 1, 2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    crossing = ESTIMATORS[name](model, images, overshoot=0.0)
    exact = torch.tensor([exact_margin(model, image.flatten().numpy()) for image in images])
    ratio = (crossing.margin / exact)[crossing.crossed]
    assert len(ratio) >= 3
    assert (ratio >= 1 - 1e-6).all()
    assert ratio.min() <= 1.1  # the exact ones are not just small
