"""What must not change a margin."""

import pytest
import torch

from dfal_cli.margins import ESTIMATORS
from tests.margins.networks import Then, convolutional_network, random_images

COMBINATIONS = [(name, norm) for name in ESTIMATORS for norm in ("l2", "linf")]

pytestmark = pytest.mark.parametrize(("name", "norm"), COMBINATIONS)


def margins(name, norm, model, images, **settings):
    margin = ESTIMATORS[name](model, images, norm=norm, **settings).margin
    assert margin.isfinite().float().mean() > 0.9
    return margin


def assert_same(margin, expected, rtol=1e-6):
    torch.testing.assert_close(margin, expected, rtol=rtol, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize(
    "change",
    [
        lambda logits: 1000 * logits,
        lambda logits: 1e-6 * logits,
        lambda logits: logits + 3,
        lambda logits: logits.log_softmax(1),
        lambda logits: logits[:, [3, 1, 4, 0, 2]],
    ],
    ids=["scaled up", "scaled down", "shifted", "log-softmaxed", "permuted"],
)
@pytest.mark.parametrize("overshoot", [0.0, 0.02])
def test_logits_that_say_the_same_have_the_same_margins(name, norm, change, overshoot):
    model, images = convolutional_network(), random_images(30)
    expected = margins(name, norm, model, images, overshoot=overshoot)
    # Without overshoot, images end on the boundary, and rounding decides on one more tiny step.
    assert_same(margins(name, norm, Then(model, after=change), images, overshoot=overshoot), expected)


def test_permuting_the_classes_permutes_the_crossing_class(name, norm):
    model, images = convolutional_network(), random_images(30)
    order = [3, 1, 4, 0, 2]
    plain = ESTIMATORS[name](model, images, norm=norm).crossing_class
    permuted = ESTIMATORS[name](Then(model, after=lambda logits: logits[:, order]), images, norm=norm).crossing_class
    assert [order[k] for k in permuted.tolist()] == plain.tolist()


def test_a_class_that_never_wins_changes_no_margin(name, norm):
    model, images = convolutional_network(), random_images(30)
    wider = Then(model, after=lambda logits: torch.cat([logits, logits[:, :1] - 1], 1))
    assert_same(margins(name, norm, wider, images), margins(name, norm, model, images))


def test_the_order_of_the_pixels_does_not_matter(name, norm):
    model, images = convolutional_network(), random_images(30)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(5))
    back = order.argsort()
    shuffled = images.flatten(1)[:, order].reshape(images.shape)
    unshuffle = Then(model, before=lambda pixels: pixels.flatten(1)[:, back].reshape(pixels.shape))
    assert_same(margins(name, norm, unshuffle, shuffled), margins(name, norm, model, images))


@pytest.mark.parametrize("scale", [255.0, 0.01])
def test_scaling_the_pixels_scales_the_margins(name, norm, scale):
    model, images = convolutional_network(), random_images(30)
    scaled = margins(name, norm, Then(model, before=lambda pixels: pixels / scale), scale * images)
    assert_same(scaled / scale, margins(name, norm, model, images))


def test_an_image_has_the_same_margin_alone_as_among_many(name, norm):
    model, images = convolutional_network(dtype=torch.float32), random_images(30, dtype=torch.float32)
    together = margins(name, norm, model, images)
    alone = torch.cat([ESTIMATORS[name](model, image[None], norm=norm).margin for image in images])
    assert_same(alone, together, rtol=1e-4)


def test_the_order_of_the_images_does_not_matter(name, norm):
    model, images = convolutional_network(dtype=torch.float32), random_images(30, dtype=torch.float32)
    assert_same(margins(name, norm, model, images.flip(0)).flip(0), margins(name, norm, model, images), rtol=1e-4)
