"""Whether a network accepts images of a shape: it classifies a blank one."""

import itertools

import torch
from torch import nn
from torch.func import functional_call

from dfal_cli.models.normalised import Shape

LARGEST_COMPUTED = 512
"""Side in pixels. Larger images are tried without data: a file may claim any size, and memory would not suffice."""


def try_blank_image(network: nn.Module, input_shape: Shape) -> None:
    """Raise whatever error the layers raise if the network, whose weights are on the CPU, does not accept the shape.

    Without data (on the meta device), a forward pass takes no memory, but torch imports its compiler for it, which
    takes longer than to compute one image.
    """
    device = torch.device("cpu" if max(input_shape[1:]) <= LARGEST_COMPUTED else "meta")
    tensors = itertools.chain(network.named_parameters(), network.named_buffers())
    on_device = {name: tensor.to(device) for name, tensor in tensors}
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            functional_call(network, on_device, torch.zeros(1, *input_shape, device=device))
    finally:
        network.train(was_training)
