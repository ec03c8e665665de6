"""Gradients of a network with respect to its input pixels only."""

import contextlib
import sys
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from dfal_cli.models.forwards import is_unmodified


@contextlib.contextmanager
def pixel_gradients(model: nn.Module) -> Iterator[None]:
    """Put the model in eval mode and turn off parameter gradients in the block; restore both afterwards.

    Computing the gradients of weights as well would double the cost of every backward pass.
    """
    modes = [(module, module.training) for module in model.modules()]
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        model.eval()
        for parameter in trainable:
            parameter.requires_grad_(False)
        with torch.inference_mode(False), torch.enable_grad(), _uncompiled():
            yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter in trainable:
            parameter.requires_grad_(True)


@contextlib.contextmanager
def _uncompiled() -> Iterator[None]:
    """Run models compiled by torch.compile eagerly in the block.

    A compiled graph can be differentiated only once, and every new batch size would trigger a compilation.
    """
    if "torch._dynamo" in sys.modules:  # importing it takes seconds; if it is not imported, nothing is compiled
        with torch.compiler.set_stance("force_eager"):
            yield
    else:
        yield


def logits_of(model: nn.Module, points: Tensor) -> Tensor:
    """Return logits (B, K) of points (B, C, H, W).

    The network gets a copy, as its first layer may work in place. An empty batch is replaced by one blank image, as
    x.view(len(x), -1) fails on empty batches.
    """
    if not len(points):
        return logits_of(model, points.new_zeros(1, *points.shape[1:]))[:0]
    logits: Tensor = model(points.clone())
    return logits


def traced_logits(model: nn.Module, points: Tensor) -> tuple[Tensor, Tensor]:
    """Return the points as a leaf (B, C, H, W) and the logits (B, K) computed from it."""
    leaf = points.detach().requires_grad_()
    return leaf, logits_of(model, leaf)


def traced_with_head(model: nn.Module, points: Tensor) -> tuple[Tensor, Tensor, nn.Linear | None]:
    """Return `traced_logits`, and the linear layer whose output the logits are; None if there is no such layer."""
    last: list[tuple[nn.Linear, Tensor, int]] = []

    def record(layer: nn.Module, _: object, output: Tensor) -> None:
        if output.requires_grad:
            last[:] = [(layer, output, output._version)]  # type: ignore[list-item]  # registered on nn.Linear only

    # Layers with a replaced forward method are excluded; this hook runs before others, which may change the output.
    layers = [layer for layer in model.modules() if is_unmodified(layer, nn.Linear)]
    hooks = [layer.register_forward_hook(record, prepend=True) for layer in layers]
    try:
        leaf, logits = traced_logits(model, points)
    finally:
        for hook in hooks:
            hook.remove()
    # the logits must be the same tensor, not changed in place since
    head = next((layer for layer, output, version in last if output is logits and output._version == version), None)
    return leaf, logits, head


def gradient_of(logits: Tensor, leaf: Tensor, weights: Tensor) -> Tensor:
    """Return d(sum of weights * logits) / d(leaf), shaped like leaf; zeros where logits do not depend on the pixels.

    logits, weights: (B, K). The graph is kept for further gradients.
    """
    if not logits.requires_grad:
        return torch.zeros_like(leaf)
    # A sum needs no grad_outputs, for which torch would import sympy, which takes longer than many small pools.
    (gradient,) = torch.autograd.grad((weights * logits).sum(), leaf, retain_graph=True, allow_unused=True)
    return torch.zeros_like(leaf) if gradient is None else gradient
