"""What every margin estimator promises of its answer."""

import pytest
import torch
from torch import nn

from dfal_cli.margins import ESTIMATORS
from dfal_cli.margins.norms import NORMS
from tests.margins.networks import Then, convolutional_network, fill, linear_margins, linear_network, random_images
from tests.margins.test_linear import LENGTHENED_BY_OVERSHOOT

COMBINATIONS = [(name, norm) for name in ESTIMATORS for norm in ("l2", "linf")]

pytestmark = pytest.mark.parametrize(("name", "norm"), COMBINATIONS)


def assert_none_crossed(crossing):
    assert not crossing.crossed.any()
    assert crossing.margin.isnan().all()
    assert (crossing.crossing_class == -1).all()
    assert crossing.adversarial.isfinite().all()


def assert_across(model, images, crossing, rounding):
    """The crossing class leads, but for rounding where a tiny last step has ended on the boundary itself."""
    logits, crossed = model(crossing.adversarial).detach()[crossing.crossed], crossing.crossed
    other, before = crossing.crossing_class[crossed, None], model(images).argmax(1)[crossed, None]
    assert (other != before).all()
    allowed = rounding * logits.abs().amax(1)
    assert (logits.amax(1) - logits.gather(1, other).squeeze(1) <= allowed).all()
    assert (logits.gather(1, before) - logits.gather(1, other) <= allowed[:, None]).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("settings", [{}, {"overshoot": 0.0}, {"max_iterations": 1}, {"clip": True}], ids=str)
def test_crossed_means_another_class_and_the_margin_is_the_distance_to_it(name, norm, dtype, settings):
    model, images = convolutional_network(dtype=dtype), random_images(40, dtype=dtype)
    crossing = ESTIMATORS[name](model, images, norm=norm, **settings)
    crossed = crossing.crossed
    assert crossed.dtype == torch.bool
    assert crossed.any()
    assert crossing.margin.dtype == crossing.adversarial.dtype == dtype
    assert_across(model, images, crossing, rounding=0 if not settings else 32 * torch.finfo(dtype).eps)
    distance = NORMS[norm].length(crossing.adversarial - images)
    torch.testing.assert_close(crossing.margin[crossed], distance[crossed], rtol=1e-6, atol=0)
    assert (crossing.margin.isnan() == ~crossed).all()
    assert ((crossing.crossing_class == -1) == ~crossed).all()


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_no_image_takes_more_steps_than_allowed(name, norm, steps):
    crossing = ESTIMATORS[name](convolutional_network(), random_images(40), norm=norm, max_iterations=steps)
    assert (crossing.iterations <= steps).all()
    if steps == 0:
        assert_none_crossed(crossing)
        assert torch.equal(crossing.adversarial, random_images(40))


def test_a_constant_network_has_no_margin(name, norm):
    model = Then(nn.Flatten(), after=lambda flat: torch.tensor([1.0, 2, 3]).expand(len(flat), 3))
    assert_none_crossed(ESTIMATORS[name](model, random_images(4), norm=norm))


def test_a_network_without_gradient_has_no_margin(name, norm):
    steps = Then(linear_network(3), before=torch.sign)
    assert_none_crossed(ESTIMATORS[name](steps, random_images(4) + 0.1, norm=norm))


def test_an_empty_batch_has_an_empty_answer(name, norm):
    assert len(ESTIMATORS[name](linear_network(3), random_images(0), norm=norm).margin) == 0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_images_with_unusable_logits_have_no_margin_and_harm_no_others(name, norm, bad):
    model, images = convolutional_network(), random_images(12)
    images[::3, 0, 0, 0] = -0.5

    def spoil(pixels):
        return pixels.where(pixels[:, :1, :1, :1] > -0.4, bad)

    crossing = ESTIMATORS[name](Then(model, before=spoil), images, norm=norm)
    usable = torch.arange(12) % 3 != 0
    assert (~crossing.crossed[~usable]).all()
    assert crossing.margin[~usable].isnan().all()
    torch.testing.assert_close(
        crossing.margin[usable], ESTIMATORS[name](model, images[usable], norm=norm).margin, rtol=1e-6, atol=0
    )


def test_one_logit_that_is_not_finite_means_no_margin(name, norm):
    def overflow(logits):
        return torch.cat([logits, torch.full_like(logits[:, :1], torch.inf)], 1)

    assert_none_crossed(ESTIMATORS[name](Then(linear_network(3), after=overflow), random_images(4), norm=norm))


def test_logits_that_become_nan_on_the_way_mean_no_margin(name, norm):
    model, images = linear_network(3), random_images(6)
    start = model(images).detach()

    def spoil(logits):
        return logits if torch.equal(logits.detach(), start[: len(logits)]) else logits * torch.nan

    crossing = ESTIMATORS[name](Then(model, after=spoil), images, norm=norm)
    assert not crossing.crossed.any()
    assert crossing.margin.isnan().all()


@pytest.mark.parametrize("overshoot", [0.0, 0.02])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_tie_of_the_two_top_logits_is_a_margin_of_almost_nothing(name, norm, overshoot, dtype):
    def tie(logits):
        top = logits.detach().amax(1, keepdim=True)
        weakest = logits.detach().argmin(1, keepdim=True)
        return logits + torch.zeros_like(logits).scatter(1, weakest, 1) * (top - logits.detach())

    images = random_images(8, dtype=dtype)
    model = linear_network(4, dtype=dtype)
    lift = (tie(model(images)) - model(images)).detach()
    for image, shift in zip(images, lift, strict=True):
        tied = Then(model, after=lambda logits, shift=shift: logits + shift)
        crossing = ESTIMATORS[name](tied, image[None], norm=norm, overshoot=overshoot)
        assert crossing.crossed.all()
        assert crossing.margin.item() < 1e-4


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_only_the_classes_of_the_largest_clean_logits_are_walked_to(name, norm, classes):
    model, images = linear_network(10, seed=9), random_images(60, seed=8)
    logits = model(images).detach()
    crossing = ESTIMATORS[name](model, images, norm=norm, classes=classes)
    expected = torch.stack(
        [narrowed_margin(model, image, row, norm, classes) for image, row in zip(images, logits, strict=True)]
    )
    if name in LENGTHENED_BY_OVERSHOOT:
        # A step towards the nearest of these classes may end in another one: never nearer by its own right.
        torch.testing.assert_close(crossing.margin / 1.02, expected, rtol=1e-4, atol=1e-5)
    else:  # walked to, but then drawn back to whatever boundary is on the way
        assert (crossing.margin <= 1.0001 * expected).all()
    if classes == 2:
        assert not torch.allclose(expected, linear_margins(model, images, norm), rtol=1e-3)


def narrowed_margin(model, image, logits, norm, classes):
    kept = logits.topk(classes).indices
    narrow = linear_network(classes)
    with torch.no_grad():
        narrow[1].weight.copy_(model[1].weight[kept])
        narrow[1].bias.copy_(model[1].bias[kept])
    return linear_margins(narrow, image[None], norm)[0]


@pytest.mark.parametrize("binary", [True, False])
def test_clipping_keeps_to_the_box_and_still_crosses(name, norm, binary):
    model, images = convolutional_network(), random_images(40)
    images = images.round() if binary else images
    crossing = ESTIMATORS[name](model, images, norm=norm, clip=True)
    assert (crossing.adversarial >= 0).all()
    assert (crossing.adversarial <= 1).all()
    assert crossing.crossed.float().mean() > 0.9


def test_batches_of_any_size_of_input_are_taken(name, norm):
    model = fill(
        nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)), 2
    )
    images = torch.rand(3, 1, 7, 9, generator=torch.Generator().manual_seed(0))
    assert ESTIMATORS[name](model, images, norm=norm).adversarial.shape == images.shape
