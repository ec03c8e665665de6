"""Faster max pooling on a CPU, where no gradient is wanted.

torch's own notes where each maximum stood, place by place, and takes as long as LeNet5's convolutions. The maximum of
shifted images takes a tenth of that for 2 x 2 places, a half to three quarters for 3 x 3 at a stride of 2
(tests/benchmarks/pooling.py), and is the same number: only of zeros of both signs it may be the other.
"""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfal_cli.models.forwards import is_unmodified, replaced_forward

Pair = tuple[int, int]
"""Down and across."""

KERNELS = (2, 3)
"""Sides of a kernel of which it is faster; larger ones need too many shifts."""


@contextlib.contextmanager
def fast_pooling(model: nn.Module) -> Iterator[None]:
    """In the block, the model's max poolings are computed the fast way, where that is one."""
    layers = [layer for layer in model.modules() if isinstance(layer, nn.MaxPool2d) and _is_plain(layer)]
    with replaced_forward(_forward, [] if _is_compiled(model) else layers):
        yield


def _forward(layer: nn.MaxPool2d, images: Tensor) -> Tensor:
    """images: (B, C, H, W) -> (B, C, h, w)."""
    kernel, stride, padding = map(_pair, (layer.kernel_size, layer.stride, layer.padding))
    h, w = ((images.shape[i - 2] + 2 * padding[i] - kernel[i]) // stride[i] + 1 for i in (0, 1))
    if min(h, w) < 1 or not _is_plain_batch(images):
        pooled: Tensor = nn.MaxPool2d.forward(layer, images)
        return pooled
    if any(padding):
        images = F.pad(images, (padding[1], padding[1], padding[0], padding[0]), value=-torch.inf)
    rows = (images[..., i : i + stride[0] * h : stride[0], :] for i in range(kernel[0]))
    highest = functools.reduce(torch.maximum, rows)
    columns = (highest[..., i : i + stride[1] * w : stride[1]] for i in range(kernel[1]))
    return functools.reduce(torch.maximum, columns)


def _is_plain_batch(images: Tensor) -> bool:
    """Of floats on a CPU that no gradient is wanted of. Where channels come last torch's own pooling is as fast."""
    return (
        not torch.is_grad_enabled()
        and images.device.type == "cpu"
        and images.layout is torch.strided
        and images.is_floating_point()
        and images.dim() == 4
        and images.numel() > 0
        and images.is_contiguous()
    )


def _is_plain(layer: nn.MaxPool2d) -> bool:
    """Whether it is a layer that torch accepts, and without anything out of the ordinary."""
    sides = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    return (
        is_unmodified(layer, nn.MaxPool2d)
        and all(map(_is_side_or_pair, sides))
        and all(side in KERNELS for side in _pair(layer.kernel_size))
        and min(_pair(layer.stride)) > 0
        and all(0 <= 2 * pad <= side for pad, side in zip(_pair(layer.padding), _pair(layer.kernel_size), strict=True))
        and _pair(layer.dilation) == (1, 1)
        and not layer.ceil_mode
        and not layer.return_indices
    )


def _is_side_or_pair(given: Any) -> bool:
    """torch takes lists, single ones and numpy's integers too."""
    return type(given) is int or (isinstance(given, tuple) and [type(side) for side in given] == [int, int])


def _pair(sides: Any) -> Pair:
    return (sides, sides) if isinstance(sides, int) else sides


def _is_compiled(model: nn.Module) -> bool:
    """Whether torch.compile has been at some of it, which would compile anew whenever a layer changes."""
    return any(hasattr(part, "_orig_mod") or part._compiled_call_impl is not None for part in model.modules())
