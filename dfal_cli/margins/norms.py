"""The norms in which margins are measured, with the functions for a step to a hyperplane."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Norm(NamedTuple):
    """A norm on images. Tensors are (B, C, H, W); norms are (B,)."""

    length: Callable[[Tensor], Tensor]
    """The norm itself."""
    dual: Callable[[Tensor], Tensor]
    """The dual norm: the distance of the origin to the hyperplane {r : <w, r> = gap} is gap / dual(w)."""
    direction: Callable[[Tensor], Tensor]
    """The direction v of the nearest point of the hyperplane, with <w, v> = dual(w) and length(v) = 1."""


def l1(images: Tensor) -> Tensor:
    """Return the sum of absolute values, (B,)."""
    return images.flatten(1).abs().sum(1)


def l2(images: Tensor) -> Tensor:
    """Return the Euclidean length, (B,)."""
    lengths: Tensor = torch.linalg.vector_norm(images.flatten(1), dim=1)
    return lengths


def linf(images: Tensor) -> Tensor:
    """Return the largest absolute value, (B,)."""
    return images.flatten(1).abs().amax(1)


def per_image(values: Tensor) -> Tensor:
    """Reshape (B,) to (B, 1, 1, 1), which broadcasts with images."""
    return values[:, None, None, None]


NORMS = {
    "l2": Norm(length=l2, dual=l2, direction=lambda w: w / per_image(l2(w))),
    "linf": Norm(length=linf, dual=l1, direction=torch.sign),
}
