"""A faster backward pass through a network's first convolution on a CPU.

CPU libraries are slow at the input gradient of a convolution with one or three input channels, which took most of the
time of DeepFool on LeNet5. A matrix product whose columns are folded into the image is two to six times faster than
torch's implementation, and equal up to rounding.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfal_cli.models.forwards import is_unmodified, replaced_forward

Pair = tuple[int, int]
"""(vertical, horizontal)."""

MAX_THIN_CHANNELS = 4
"""Maximum number of input channels of a thin convolution."""

MIN_ROWS = 24
"""A matrix product with fewer rows is hardly faster."""


class _ThinConvolution(torch.autograd.Function):
    """conv2d, differentiable with respect to its input only. It supports torch.vmap, which some ensembles use."""

    generate_vmap_rule = True

    @staticmethod
    def forward(images: Tensor, weight: Tensor, bias: Tensor | None, stride: Pair, padding: Pair) -> Tensor:
        return F.conv2d(images, weight, bias, stride, padding)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        images, weight, _, ctx.stride, ctx.padding = inputs
        ctx.size = images.shape[2:]
        ctx.save_for_backward(weight)  # the layer's weight may be another one during the backward pass

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        (weight,) = ctx.saved_tensors
        return gradient_to_input(weight, ctx.stride, ctx.padding, gradients[0], ctx.size), None, None, None, None


def gradient_to_input(weight: Tensor, stride: Pair, padding: Pair, gradient: Tensor, size: Pair) -> Tensor:
    """Return a convolution's input gradient, (B, C, H, W), from its output gradient, (B, O, h, w); size = (H, W).

    weight: (O, C, k, l).
    With few output channels, blocks of s x s neighbouring positions are treated as s * s times as many channels: the
    patches of blocks overlap less than those of single positions, so that fewer values have to be added.
    """
    block = next(s for s in range(1, MIN_ROWS) if len(weight) * s * s >= MIN_ROWS)
    weights = _weight_of_blocks(weight, stride, block)  # (C, m, y, n, x, O * s * s): patches m * y high, n * x wide
    blocks = _blocks(gradient, block)  # (B, O * s * s, down, across)
    columns = weights.flatten(0, 4) @ blocks.flatten(2)
    patches = columns.view(len(gradient), *weights.shape[:5], *blocks.shape[2:])
    padded = _folded(patches)
    (top, left), (height, width) = padding, size
    bottom, right = top + height - padded.shape[2], left + width - padded.shape[3]  # a stride may skip the edge
    return F.pad(padded, (-left, right, -top, bottom))


def _weight_of_blocks(weight: Tensor, stride: Pair, block: int) -> Tensor:
    """Return a convolution's weight at each of the s x s positions of a block, within the patch of the whole block.

    Its shape is (C, m, y, n, x, O * s * s): the patch is m times as high and n times as wide as the step (y, x) from
    one block to the next.
    """
    weight = weight.permute(1, 2, 3, 0)  # (C, k, l, O)
    channels, *kernel, outputs = weight.shape
    step = [block * one for one in stride]
    patch = [one * (block - 1) + side for one, side in zip(stride, kernel, strict=True)]
    m, n = (-(-side // one) for side, one in zip(patch, step, strict=True))
    placed = weight.new_zeros(channels, m * step[0], n * step[1], outputs, block, block)
    for row in range(block):
        for column in range(block):
            top, left = row * stride[0], column * stride[1]
            placed[:, top : top + kernel[0], left : left + kernel[1], :, row, column] = weight
    return placed.view(channels, m, step[0], n, step[1], -1)


def _blocks(gradient: Tensor, block: int) -> Tensor:
    """Reshape (B, O, h, w) to (B, O * s * s, h / s, w / s), padded with zeros to whole blocks."""
    if block == 1:
        return gradient
    height, width = gradient.shape[2:]
    padded = F.pad(gradient, (0, -width % block, 0, -height % block))
    # takes half the time of pixel_unshuffle
    down, across = (-(-side // block) for side in (height, width))
    split = padded.reshape(*gradient.shape[:2], down, block, across, block)
    return split.permute(0, 1, 3, 5, 2, 4).reshape(len(gradient), -1, down, across)


def _folded(patches: Tensor) -> Tensor:
    """Add up overlapping patches, (B, C, m, y, n, x, down, across), to the image they cover, (B, C, height, width)."""
    images, channels, m, y, n, x, down, across = patches.shape
    covered = patches.new_zeros(images, channels, y, x, down + m - 1, across + n - 1)
    for row in range(m):
        for column in range(n):
            covered[..., row : row + down, column : column + across] += patches[:, :, row, :, column]
    return covered.permute(0, 1, 4, 2, 5, 3).flatten(4, 5).flatten(2, 3)


@contextlib.contextmanager
def thin_convolutions(model: nn.Module) -> Iterator[None]:
    """Use the faster backward pass for the model's thin convolutions in the block."""
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d) and _is_thin(layer)]
    with replaced_forward(_forward, layers):
        yield


def _forward(layer: nn.Conv2d, images: Tensor) -> Tensor:
    if not _is_plain_call(layer, images):
        return type(layer).forward(layer, images)
    convolved: Tensor = _ThinConvolution.apply(images, layer.weight, layer.bias, layer.stride, layer.padding)
    return convolved


def _is_plain_call(layer: nn.Conv2d, images: Tensor) -> bool:
    """Return whether the call is on a batch of float32 or float64 images, without gradients of weights.

    A single image may lack the batch dimension. With 16 bits, torch accumulates in higher precision, but a matrix
    product may not. Weights that require a gradient here are not parameters: they may be computed from the image.
    """
    return (
        images.dim() == 4
        and images.dtype == layer.weight.dtype
        and images.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled("cpu")
        and not any(tensor is not None and tensor.requires_grad for tensor in (layer.weight, layer.bias))
    )


def _is_thin(layer: nn.Conv2d) -> bool:
    return (
        is_unmodified(layer, nn.Conv2d)
        and layer.in_channels <= MAX_THIN_CHANNELS
        and layer.groups == 1
        and layer.dilation == (1, 1)
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
        and layer.weight.device.type == "cpu"
    )
