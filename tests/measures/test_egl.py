"""Expected gradient length, against a loop over images and labels that asks autograd for the loss's gradient."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dfal_cli.errors import UsageError
from dfal_cli.measures import MEASURES
from dfal_cli.measures.egl import layer_by_layer, one_by_one, vmapped
from dfal_cli.measures.layers import UnsuitedError
from tests.margins.networks import random_images
from tests.margins.odd_networks import ODD_NETWORKS
from tests.measures.networks import (
    SETTINGS,
    images_for,
    lenet5,
    measured,
    network,
    small_convnext,
    small_vit,
    with_batch_norm,
)


def slowly(model, images):
    """By the book, in float64."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    expected = []
    for image in images.double():
        p = model(image[None]).softmax(1)[0].detach()
        total = 0.0
        for label in range(len(p)):
            loss = F.cross_entropy(model(image[None]), torch.tensor([label]))
            gradient = torch.autograd.grad(loss, weights, allow_unused=True)
            length = torch.cat([part.flatten() for part in gradient if part is not None]).norm()
            total += p[label].item() * length.item()
        expected.append(total)
    return torch.tensor(expected, dtype=torch.float64)


def shared():
    """A layer in two places, and one whose weights are used without calling it."""

    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.thin, self.head = nn.Conv2d(1, 1, 3, padding=1), nn.Linear(784, 4)

        def forward(self, images):
            return F.linear(self.thin(self.thin(images)).flatten(1), self.head.weight) + self.head.bias

    return Shared()


NETWORKS = {
    "lenet5": (lenet5, 1, 28),
    "batch norm": (with_batch_norm, 1, 28),
    "vgg8": (lambda: network("vgg8", 16, 1), 1, 16),
    "resnet18": (lambda: network("resnet18", 32), 3, 32),
    "vision transformer": (small_vit, 3, 32),
    "convnext": (small_convnext, 3, 32),
    "shared": (shared, 1, 28),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_the_mean_length_of_the_loss_gradient_over_the_labels_that_the_network_expects(name):
    build, channels, side = NETWORKS[name]
    model, images = build(), images_for(channels, side, count=3)
    found = measured("egl", model, images)
    expected = slowly(model.double(), images)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=0)
    assert (expected > 0).all()


@pytest.mark.parametrize("way", [layer_by_layer, vmapped, one_by_one])
@pytest.mark.parametrize("build", [lenet5, with_batch_norm])
def test_all_ways_of_computing_it_give_the_same(way, build):
    model, images = build(), images_for()
    found = way(model, images)
    torch.testing.assert_close(found.double(), slowly(model.double(), images), rtol=1e-4, atol=0)


# "other weights" has none that a label could move
@pytest.mark.parametrize("name", sorted(ODD_NETWORKS.keys() - {"other weights"}))
def test_networks_that_short_cuts_stumble_over_are_measured_right(name):
    model = ODD_NETWORKS[name]().eval()
    images = random_images(3)
    torch.testing.assert_close(measured("egl", model, images), slowly(model, images), rtol=1e-4, atol=0)


def test_a_network_that_only_a_loop_can_measure_is_told_of_once():
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(784, 4)

        def forward(self, images):
            return 2 * F.linear(images.flatten(1), self.layer.weight) if images.sum().item() > 0 else images

    said: list[str] = []
    compute = MEASURES["egl"].prepare(Branching(), SETTINGS._replace(warn=said.append))
    images = images_for()
    torch.testing.assert_close(compute(images)[2:], compute(images[2:]))
    assert said == ["--measure egl: a-network has to be differentiated image by image, which is slow"]


def test_an_image_that_the_network_is_sure_of_still_has_a_length():
    """1 - p is 1e-10 here, which is nothing beside 1 in float32."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(1, 2, bias=False))
    model[1].weight.data = torch.tensor([[23.0], [0.0]])
    image = torch.ones(1, 1, 1, 1)
    torch.testing.assert_close(measured("egl", model, image).double(), slowly(model.double(), image), rtol=1e-4, atol=0)


def test_weights_that_do_not_train_do_not_count():
    model, images = lenet5(), images_for()
    model.body[0].requires_grad_(False)
    model.body[-1].bias.requires_grad_(False)
    found = measured("egl", model, images)
    torch.testing.assert_close(found.double(), slowly(model.double(), images), rtol=1e-4, atol=0)


def test_a_layer_whose_bias_does_not_train_counts_without_it_even_where_layers_are_taken_one_by_one():
    model, images = lenet5(), images_for()
    model.body[-1].bias.requires_grad_(False)
    found = layer_by_layer(model, images)
    torch.testing.assert_close(found.double(), slowly(model.double(), images), rtol=1e-4, atol=0)


def test_a_network_without_a_trainable_weight_is_a_usage_error_before_it_is_run():
    with pytest.raises(UsageError, match="--measure egl: all weights of a-network are frozen"):
        MEASURES["egl"].prepare(lenet5().requires_grad_(False), SETTINGS)


def two_names():
    """One layer in two places of a network, which has a name for each."""
    layer = nn.Linear(16, 16)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 16), nn.Tanh(), layer, nn.Tanh(), layer, nn.Linear(16, 4))


class Recurrent(nn.Module):
    """One layer called three times; nothing has a bias, so that a blank image has no gradient at all."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again = nn.Linear(784, 16, bias=False), nn.Linear(16, 16, bias=False)
        self.head = nn.Linear(16, 4, bias=False)

    def forward(self, images):
        features = self.first(images.flatten(1)).relu()
        for _ in range(3):
            features = self.again(features).relu()
        return self.head(features)


class TiedWeight(nn.Module):
    """Two layers with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.one, self.other = nn.Linear(784, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.other.weight = self.one.weight

    def forward(self, images):
        return self.other(self.one(self.first(images.flatten(1))).relu())


class Functional(nn.Module):
    """Uses a layer's weight without calling the layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(784, 16), nn.Linear(16, 4)

    def forward(self, images):
        return F.linear(self.first(images.flatten(1)), self.head.weight, self.head.bias)


@pytest.mark.parametrize("build", [two_names, Recurrent, TiedWeight, Functional])
def test_layers_are_not_taken_one_by_one_where_a_weight_has_several_uses_or_none_that_is_seen(build):
    with pytest.raises(UnsuitedError):
        layer_by_layer(build(), images_for())


@pytest.mark.parametrize("build", [two_names, TiedWeight])
def test_a_network_with_a_weight_in_two_places_is_measured_right_and_stays_whole(build):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build()
    slots = [(module, name, own) for module in model.modules() for name, own in module._parameters.items()]
    torch.testing.assert_close(
        vmapped(model, images_for()).double(), slowly(copy.deepcopy(model).double(), images_for()), rtol=1e-4, atol=0
    )
    assert all(module._parameters[name] is own for module, name, own in slots)
    copy.deepcopy(model)


def test_weights_are_put_back_when_the_network_raises():
    model, images = two_names().append(nn.Linear(4, 4)), images_for()
    weights = list(model.parameters())

    def refuse(*_anything):
        if any(now is not before for now, before in zip(model.parameters(), weights, strict=True)):
            raise ValueError

    model[-1].register_forward_hook(refuse)
    with pytest.raises(ValueError):
        vmapped(model, images)
    assert all(now is before for now, before in zip(model.parameters(), weights, strict=True))


def test_first_images_without_a_gradient_do_not_decide_how_the_others_are_measured():
    """The layer is called once, and its weight used once more without a call, which only numbers tell."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(784, 4, bias=False)

        def forward(self, images):
            return self.head(images.flatten(1)) + F.linear(images.flatten(1), self.head.weight)

    model, images = Twice(), images_for()
    images[:2] = 0
    compute = MEASURES["egl"].prepare(model, SETTINGS)
    found = torch.cat([compute(images), compute(images[3:])])
    expected = slowly(model.double(), images)
    torch.testing.assert_close(found.double(), torch.cat([expected, expected[3:]]), rtol=1e-4, atol=0)


def test_later_images_for_which_a_network_calls_a_layer_again_are_measured_right():
    class Turning(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.again, self.head = nn.Linear(784, 16), nn.Linear(16, 16), nn.Linear(16, 4)

        def forward(self, images):
            features = self.again(self.first(images.flatten(1)))
            return self.head(self.again(features) if images.sum() > 2000 else features)

    model, images = Turning(), images_for()
    images[:3] /= 100
    compute = MEASURES["egl"].prepare(model, SETTINGS)
    compute(images[:3])
    found = torch.cat([compute(image[None]) for image in 6 * images[3:]])
    torch.testing.assert_close(found.double(), slowly(model.double(), 6 * images[3:]), rtol=1e-4, atol=0)
