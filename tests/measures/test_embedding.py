"""Penultimate features: what, put through the last layer, gives the logits."""

import pytest
import torch
from torch import nn

from dfal_cli.errors import UsageError
from tests.margins.networks import random_images
from tests.margins.odd_networks import ODD_NETWORKS
from tests.measures.networks import images_for, lenet5, measured, network, with_batch_norm

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


def test_a_network_without_layers_is_a_usage_error():
    with pytest.raises(UsageError, match="--measure embedding: a-network calls no layer"):
        measured("embedding", nn.Flatten(), images_for())
