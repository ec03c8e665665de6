"""Faster max pooling on a CPU, where no gradient is wanted.

torch's own notes where each maximum stood, place by place, and takes as long as LeNet5's convolutions. The maximum of
shifted images takes a third to a tenth of that, and is the same to the bit.
"""

import contextlib
import functools
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfal_cli.forwards import computed_by, is_as_made


@contextlib.contextmanager
def quick_pooling(model: nn.Module) -> Iterator[None]:
    """In the block, the model's max poolings are computed the fast way, where that is one."""
    layers = [layer for layer in model.modules() if isinstance(layer, nn.MaxPool2d) and _is_plain(layer)]
    with computed_by(_forward, [] if _is_compiled(model) else layers):
        yield


def _forward(layer: nn.MaxPool2d, images: Tensor) -> Tensor:
    """images: (..., H, W) -> (..., h, w)."""
    kernel, stride, padding = map(_pair, (layer.kernel_size, layer.stride, layer.padding))
    h, w = ((images.shape[i - 2] + 2 * padding[i] - kernel[i]) // stride[i] + 1 for i in (0, 1))
    # Where channels come last torch's own is as fast; of too small an image it says so.
    if torch.is_grad_enabled() or images.device.type != "cpu" or not images.is_contiguous() or min(h, w) < 1:
        pooled: Tensor = nn.MaxPool2d.forward(layer, images)
        return pooled
    if any(padding):
        images = F.pad(images, (padding[1], padding[1], padding[0], padding[0]), value=-torch.inf)
    rows = (images[..., i : i + stride[0] * h : stride[0], :] for i in range(kernel[0]))
    highest = functools.reduce(torch.maximum, rows)
    columns = (highest[..., i : i + stride[1] * w : stride[1]] for i in range(kernel[1]))
    return functools.reduce(torch.maximum, columns)


def _pair(sides: int | tuple[int, ...]) -> tuple[int, ...]:
    """Down and across."""
    return (sides, sides) if isinstance(sides, int) else sides


def _is_plain(layer: nn.MaxPool2d) -> bool:
    return (
        is_as_made(layer, nn.MaxPool2d)
        and max(_pair(layer.kernel_size)) > 1  # of 1 x 1 the result would be the image itself
        and _pair(layer.dilation) == (1, 1)
        and not layer.ceil_mode
        and not layer.return_indices
    )


def _is_compiled(model: nn.Module) -> bool:
    """Whether torch.compile has been at some of it, which would compile anew whenever a layer changes."""
    return any(hasattr(part, "_orig_mod") or part._compiled_call_impl is not None for part in model.modules())
