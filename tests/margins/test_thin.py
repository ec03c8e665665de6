"""The fast way back through a first convolution gives torch's own gradient, and is gone afterwards."""

import pytest
import torch
from torch import nn

from dfal_cli.margins.thin import thin_convolutions


@pytest.mark.parametrize(
    "settings", [{}, {"stride": 2, "padding": 3}, {"dilation": 2, "padding": 1}, {"stride": (3, 2), "bias": False}]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_gradient_to_the_pixels_is_the_one_of_torch(channels, settings):
    generator = torch.Generator().manual_seed(0)
    layer = nn.Conv2d(channels, 5, 5, **settings, dtype=torch.float64)
    images = torch.rand(4, channels, 17, 14, generator=generator, dtype=torch.float64, requires_grad=True)

    def gradient():
        convolved = layer(images)
        weights = torch.linspace(-1, 1, convolved.numel(), dtype=torch.float64).reshape(convolved.shape)
        return torch.autograd.grad((convolved * weights).sum(), images)[0]

    expected = gradient()
    with thin_convolutions(layer):
        torch.testing.assert_close(gradient(), expected)
    torch.testing.assert_close(gradient(), expected)


def test_layers_are_as_they_were_afterwards_even_if_the_network_fails():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))
    with pytest.raises(ZeroDivisionError), thin_convolutions(model):
        assert "forward" in vars(model[0])
        raise ZeroDivisionError
    assert not any("forward" in vars(layer) for layer in model)
