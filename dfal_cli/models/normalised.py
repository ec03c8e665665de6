"""A network that takes images in [0, 1] as they are."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

Shape = tuple[int, int, int]
"""(C, H, W)"""


class Normalisation(NamedTuple):
    """What is taken from, and divided out of, each channel inside the model."""

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


class Network(nn.Module):
    """A network with its input handling inside: normalisation, and grey repeated to the channels it wants."""

    def __init__(self, body: nn.Module, normalisation: Normalisation) -> None:
        super().__init__()
        self.body = body
        self.normalisation = normalisation
        self.mean: Tensor
        self.std: Tensor
        # Not persistent: they are the architecture's, not learnt, and stand in the checkpoint's metadata.
        self.register_buffer("mean", torch.tensor(normalisation.mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(normalisation.std)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """images: (B, C, H, W) in [0, 1] -> logits (B, K). A grey image meets 3-channel means by broadcasting."""
        logits: Tensor = self.body((images - self.mean.to(images.dtype)) / self.std.to(images.dtype))
        return logits


def size_of(input_shape: Shape) -> str:
    """The shape in words."""
    channels, height, width = input_shape
    return f"{width}x{height} {'grey' if channels == 1 else 'colour'}"
