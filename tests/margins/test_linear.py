"""On a linear model the margin has a closed form."""

import pytest
import torch

from dfal_cli.margins import ESTIMATORS
from tests.margins.networks import linear_margins, linear_network, random_images

COMBINATIONS = [(name, norm) for name in ESTIMATORS for norm in ("l2", "linf")]
DTYPES = [torch.float32, torch.float64]

pytestmark = [
    pytest.mark.parametrize(("name", "norm"), COMBINATIONS),
    pytest.mark.parametrize("classes", [2, 3, 10, 100]),
    pytest.mark.parametrize("dtype", DTYPES, ids=str),
]


LENGTHENED_BY_OVERSHOOT = {"deepfool"}
"""The others go back to the boundary."""


def test_margin_with_overshoot_is_the_closed_form_lengthened_by_it(name, norm, classes, dtype):
    model, images = linear_network(classes, dtype=dtype), random_images(80, dtype=dtype)
    crossing = ESTIMATORS[name](model, images, norm=norm, overshoot=0.02)
    assert crossing.crossed.all()
    lengthened = 1.02 if name in LENGTHENED_BY_OVERSHOOT else 1
    torch.testing.assert_close(
        crossing.margin.double() / lengthened, linear_margins(model, images, norm), rtol=1e-4, atol=1e-5
    )


def test_margin_without_overshoot_is_the_closed_form_for_those_that_crossed(name, norm, classes, dtype):
    model, images = linear_network(classes, dtype=dtype), random_images(80, dtype=dtype)
    crossing = ESTIMATORS[name](model, images, norm=norm, overshoot=0.0)
    crossed = crossing.crossed
    assert crossed.float().mean() > 0.5
    exact = linear_margins(model, images, norm)
    torch.testing.assert_close(crossing.margin[crossed].double(), exact[crossed], rtol=1e-4, atol=1e-5)


def test_images_are_ranked_as_the_closed_form_ranks_them(name, norm, classes, dtype):
    model, images = linear_network(classes, seed=3, dtype=dtype), random_images(80, seed=4, dtype=dtype)
    margin = ESTIMATORS[name](model, images, norm=norm).margin
    assert margin.argsort().tolist() == linear_margins(model, images, norm).argsort().tolist()
