"""Faster max pooling on a CPU for inference.

torch's max pooling records the position of each maximum, and takes as long as the convolutions of LeNet5. The maximum
of shifted images takes a tenth of that time for 2x2 kernels, and a half to three quarters for 3x3 kernels with stride 2
(tests/benchmarks/pooling.py). The results are equal, except for the sign of zeros.
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
"""(vertical, horizontal)"""

KERNELS = (2, 3)
"""Kernel sides for which the shifts are faster; larger kernels need too many."""


@contextlib.contextmanager
def fast_pooling(model: nn.Module) -> Iterator[None]:
    """In the block, compute the max pooling layers of the model with shifted images where that is faster."""
    layers = [layer for layer in model.modules() if isinstance(layer, nn.MaxPool2d) and _is_plain(layer)]
    with replaced_forward(_forward, [] if _is_compiled(model) else layers):
        yield


def _forward(layer: nn.MaxPool2d, images: Tensor) -> Tensor:
    """Pool images (B, C, H, W) to (B, C, h, w)."""
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
    """Return whether the images are contiguous floats on a CPU, without gradients.

    With channels-last memory format, torch's own pooling is as fast.
    """
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
    """Return whether `_forward` supports the arguments of the layer."""
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
    """Return whether the value is an int or a pair of ints; torch also accepts lists and numpy integers."""
    return type(given) is int or (isinstance(given, tuple) and [type(side) for side in given] == [int, int])


def _pair(sides: Any) -> Pair:
    return (sides, sides) if isinstance(sides, int) else sides


def _is_compiled(model: nn.Module) -> bool:
    """Return whether torch.compile was applied to a part, which would be recompiled whenever a layer changes."""
    return any(hasattr(part, "_orig_mod") or part._compiled_call_impl is not None for part in model.modules())
