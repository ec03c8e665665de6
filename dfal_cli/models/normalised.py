"""A network that accepts images in [0, 1]: its normalisation is part of the model."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

Shape = tuple[int, int, int]
"""(C, H, W)"""


class Normalisation(NamedTuple):
    """Mean and standard deviation of each channel, applied inside the model."""

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


class Network(nn.Module):
    """A network that normalises its input; grey images are repeated to the channels of the normalisation."""

    def __init__(self, body: nn.Module, normalisation: Normalisation) -> None:
        super().__init__()
        self.body = body
        self.normalisation = normalisation
        self.mean: Tensor
        self.std: Tensor
        # Not persistent: they belong to the architecture, and the metadata of checkpoints record them.
        self.register_buffer("mean", torch.tensor(normalisation.mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(normalisation.std)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) in [0, 1] to logits (B, K). Broadcasting turns grey images into 3 channels."""
        logits: Tensor = self.body((images - self.mean.to(images.dtype)) / self.std.to(images.dtype))
        return logits


def size_of(input_shape: Shape) -> str:
    """Return `28x28 grey` for the shape (1, 28, 28)."""
    channels, height, width = input_shape
    return f"{width}x{height} {'grey' if channels == 1 else 'colour'}"
