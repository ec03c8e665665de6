"""Penultimate features: what, put through the last layer, gives the logits."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dfal_cli.errors import UsageError
from dfal_cli.measures import MEASURES
from tests.margins.networks import random_images
from tests.margins.odd_networks import ODD_NETWORKS
from tests.measures.networks import SETTINGS, images_for, lenet5, measured, network, unsettle, with_batch_norm

LINEAR_HEADS = {
    "lenet5": (lenet5, 1, 28, 4),
    "vgg8": (lambda: network("vgg8", 16, 1), 1, 16, 4096),
    "batch norm": (with_batch_norm, 1, 28, 6),
    "resnet18": (lambda: network("resnet18", 32), 3, 32, 512),
    "vit_b_16": (lambda: network("vit_b_16", 32), 3, 32, 768),
    "swin_t": (lambda: network("swin_t", 32), 3, 32, 768),
    "convnext_tiny": (lambda: network("convnext_tiny", 32), 3, 32, 768),
}


@pytest.mark.parametrize("name", LINEAR_HEADS)
def test_the_last_layer_makes_the_logits_of_it(name):
    build, channels, side, width = LINEAR_HEADS[name]
    model, images = build(), images_for(channels, side, count=3)
    head = [layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1]
    found = measured("embedding", model, images)
    assert found.shape == (3, width)
    torch.testing.assert_close(found @ head.weight.T + head.bias, model(images))


def test_what_a_last_convolution_sees_is_averaged_over_space():
    model, images = network("squeezenet1_0", 64), images_for(3, 64)
    found = measured("embedding", model, images)
    torch.testing.assert_close(found, model.body.features((images - model.mean) / model.std).mean((2, 3)))
    assert found.shape == (6, 512)


@pytest.mark.parametrize("name", sorted(ODD_NETWORKS.keys() - {"scripted", "vmap", "data parallel"}))
def test_networks_that_short_cuts_stumble_over_have_one_row_an_image(name):
    model, images = ODD_NETWORKS[name]().eval(), random_images(3)
    found = measured("embedding", model, images)
    assert found.shape[0] == 3
    torch.testing.assert_close(found[1:2], measured("embedding", model, images[1:2]))


class Temperature(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.tensor(2.0))

    def forward(self, logits):
        return logits * self.temperature


class Cosine(nn.Module):
    """A last layer of one's own."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(4, 9, generator=torch.Generator().manual_seed(3)))

    def forward(self, features):
        return F.linear(F.normalize(features), F.normalize(self.weight))


class Headed(nn.Module):
    """Features, a head, something behind it, and another head that is called last, unless it is None."""

    def __init__(self, head, behind=None, other=None) -> None:
        super().__init__()
        self.body, self.head, self.other = nn.Linear(784, 9), head, other
        self.behind = nn.Identity() if behind is None else behind

    def features(self, images):
        return self.body(images.flatten(1)).relu()

    def forward(self, images):
        features = self.features(images)
        logits = self.behind(self.head(features))
        if self.other is not None:
            self.other(images.flatten(1))
        features.zero_()
        return logits


HEADED = {
    "something works in place on them later": lambda: Headed(nn.Linear(9, 4)),
    "batch norm of logits": lambda: Headed(nn.Linear(9, 4), nn.BatchNorm1d(4)),
    "temperature": lambda: Headed(nn.Linear(9, 4), Temperature()),
    "another head": lambda: Headed(nn.Linear(9, 4), other=nn.Linear(784, 7)),
    "another head of the same width": lambda: Headed(nn.Linear(9, 4), other=nn.Linear(784, 4)),
    "another head behind a temperature": lambda: Headed(nn.Linear(9, 4), Temperature(), nn.Linear(784, 7)),
    "a head of one's own": lambda: Headed(Cosine()),
    "a head of one's own, and a temperature": lambda: Headed(Cosine(), Temperature()),
}


@pytest.mark.parametrize("name", HEADED)
def test_the_layer_that_makes_the_logits_counts_whatever_else_is_called(name):
    model, images, said = unsettle(HEADED[name]()).eval(), images_for(), []
    images[0] = 0  # of which many layers say the same
    with torch.no_grad():
        expected = model.features(images)
    assert expected.any()
    found = MEASURES["embedding"].prepare(model, SETTINGS._replace(warn=said.append))(images)
    torch.testing.assert_close(found, expected)
    assert said == []


def test_a_convolution_whose_mean_over_space_is_the_logits_wins_over_one_called_later():
    class Convolutions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head, self.other = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)

        def forward(self, images):
            maps = self.head(images)
            self.other(maps)
            return maps.mean((2, 3))

    torch.testing.assert_close(measured("embedding", Convolutions(), images_for()), images_for().mean((2, 3)))


def test_where_no_layer_makes_the_logits_the_last_one_counts_and_a_warning_says_so_once():
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last, self.weight = nn.Linear(784, 9), nn.Linear(9, 8), nn.Parameter(torch.ones(4, 8))

        def forward(self, images):
            return F.linear(self.last(self.first(images.flatten(1)).relu()), self.weight)

    model, images, said = Functional(), images_for(), []
    compute = MEASURES["embedding"].prepare(model, SETTINGS._replace(warn=said.append))
    found = torch.cat([compute(part) for part in images.split(2)])
    torch.testing.assert_close(found, model.first(images.flatten(1)).relu().detach())
    assert [text.split(" of ")[0] for text in said] == ["--measure embedding: no layer"]


def test_a_network_without_layers_is_a_usage_error():
    with pytest.raises(UsageError, match="--measure embedding: a-network calls no layer"):
        measured("embedding", nn.Flatten(), images_for())
