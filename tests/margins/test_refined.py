"""What the refined estimator promises beyond what all do: it is tight."""

import pytest
import torch

from dfal_cli.margins import deepfool, refined
from tests.margins.networks import Then, convolutional_network, random_images
from tests.margins.test_curved import Sphere

NORMS = ["l2", "linf"]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("settings", [{}, {"overshoot": 0.0}, {"clip": True}, {"classes": 2}], ids=str)
def test_no_margin_is_larger_than_that_of_deepfool_and_many_are_smaller(norm, settings):
    model, images = convolutional_network(), random_images(100)
    tight, first = (estimator(model, images, norm=norm, **settings) for estimator in (refined, deepfool))
    assert torch.equal(tight.crossed, first.crossed)
    assert (tight.margin <= first.margin)[first.crossed].all()
    assert (tight.margin < 0.99 * first.margin).float().mean() > 0.25


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("clip", [False, True])
def test_ninety_nine_hundredths_of_the_way_do_not_cross(norm, clip):
    model, images = convolutional_network(), random_images(200)
    crossing = refined(model, images, norm=norm, clip=clip)
    nearly = images + 0.99 * (crossing.adversarial - images)
    stayed = model(nearly).argmax(1) == model(images).argmax(1)
    assert stayed[crossing.crossed].all()


@pytest.mark.parametrize("distance", [0.05, 0.2, 0.5, 0.8, 0.95, 1.05, 1.5, 3.0])
def test_the_distance_to_a_sphere_is_exact(distance):
    directions = torch.randn(10, 1, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    images = distance * directions / torch.linalg.vector_norm(directions.flatten(1), dim=1)[:, None, None, None]
    crossing = refined(Sphere(), images)
    assert crossing.crossed.all()
    torch.testing.assert_close(crossing.margin, torch.full_like(crossing.margin, abs(distance - 1)), rtol=2e-3, atol=0)


def test_a_crossing_of_one_rounding_unit_of_a_pixel_cannot_be_shortened():
    layer = torch.nn.Linear(4, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.0, 0, 0, 0], [1e4, 0, 0, 0]]))
        layer.bias.copy_(torch.tensor([0.0, -1e-4]))
    model = Then(layer, before=lambda images: images.flatten(1) - 0.5)
    crossing = refined(model, torch.full((3, 1, 2, 2), 0.5))
    assert crossing.margin.tolist() == [2**-24] * 3


def test_overshoot_does_not_lengthen_a_margin():
    model, images = convolutional_network(), random_images(40)
    far, near = (refined(model, images, overshoot=overshoot).margin for overshoot in (0.5, 0.02))
    assert (far / near).median() == pytest.approx(1, abs=0.01)
