"""On images of two pixels the boundary can be found by looking everywhere."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from dfal_cli.margins import ESTIMATORS, Estimator, refined
from dfal_cli.margins.norms import NORMS
from tests.margins.networks import fill

STEP = 0.008
REACH = 1.5

pytestmark = pytest.mark.parametrize("norm", NORMS)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_margins_are_not_below_the_distance_to_the_nearest_grid_point_of_another_class(name, norm):
    difference = torch.cat([margins - exact for margins, exact in found(ESTIMATORS[name], norm)])
    assert len(difference) > 40
    assert (difference >= -STEP).float().mean() > 0.9  # a grid misses the tips of thin wedges


def test_most_refined_margins_are_the_distance_to_the_nearest_grid_point_of_another_class(norm):
    ratio = torch.cat([margins / exact for margins, exact in found(refined, norm)])
    assert len(ratio) > 40
    assert ratio.quantile(0.75) < 1 + 5 * STEP


def found(estimator: Estimator, norm: str) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Margins as estimated and by the grid, of the images for which both know one."""
    for model, images in networks():
        crossing, exact = estimator(model, images, norm=norm), margins_by_grid(model, images, norm)
        known = crossing.crossed & exact.isfinite()
        yield crossing.margin[known], exact[known]


def networks() -> Iterator[tuple[nn.Module, torch.Tensor]]:
    """Small ReLU networks, with images."""
    for seed in range(4):
        layers = [nn.Flatten(), nn.Linear(2, 10), nn.ReLU(), nn.Linear(10, 4)]
        images = torch.rand(20, 1, 1, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        yield fill(nn.Sequential(*layers), seed).double(), images


def margins_by_grid(model: nn.Module, images: torch.Tensor, norm: str) -> torch.Tensor:
    """The distance from each image to the nearest point of another class within REACH, to a step of the grid."""
    axis = torch.arange(-REACH, REACH, STEP, dtype=torch.float64)
    offsets = torch.cartesian_prod(axis, axis).view(-1, 1, 1, 2)
    lengths = NORMS[norm].length(offsets)
    predicted = model(images).argmax(1)
    with torch.no_grad():
        others = [model(image + offsets).argmax(1) != kind for image, kind in zip(images, predicted, strict=True)]
    return torch.stack([lengths.where(other, torch.inf).min() for other in others])
