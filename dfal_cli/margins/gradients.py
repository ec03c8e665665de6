"""Differentiating a network to its pixels, and to its pixels alone."""

import contextlib
import sys
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from dfal_cli.models.forwards import is_unmodified


@contextlib.contextmanager
def pixel_gradients(model: nn.Module) -> Iterator[None]:
    """In the block the model is in eval mode and its parameters need no gradient; afterwards all is as it was.

    Filling weight gradients as well would double the price of every backward pass.
    """
    modes = [(module, module.training) for module in model.modules()]
    needing = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        model.eval()
        for parameter in needing:
            parameter.requires_grad_(False)
        with torch.inference_mode(False), torch.enable_grad(), _uncompiled():
            yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter in needing:
            parameter.requires_grad_(True)


@contextlib.contextmanager
def _uncompiled() -> Iterator[None]:
    """In the block, what torch.compile has compiled runs as it was written.

    A compiled trace can be differentiated only once, and each new batch size would be compiled anew.
    """
    if "torch._dynamo" in sys.modules:  # importing it takes seconds, and without it nothing is compiled
        with torch.compiler.set_stance("force_eager"):
            yield
    else:
        yield


def logits_of(model: nn.Module, points: Tensor) -> Tensor:
    """Logits (B, K) of points (B, C, H, W). The network sees a copy: its first layer may work in place.

    Nor does it see an empty batch: x.view(len(x), -1), as many a network has it, fails on that.
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
    """`traced_logits`, and the linear layer that the logits came out of; None if they came out of something else."""
    last: list[tuple[nn.Linear, Tensor, int]] = []

    def remember(layer: nn.Module, _: object, output: Tensor) -> None:
        if output.requires_grad:
            last[:] = [(layer, output, output._version)]  # type: ignore[list-item]  # only hung on nn.Linear

    # A layer whose forward was replaced may do anything, and so may other hooks: this one comes before them.
    layers = [layer for layer in model.modules() if is_unmodified(layer, nn.Linear)]
    hooks = [layer.register_forward_hook(remember, prepend=True) for layer in layers]
    try:
        leaf, logits = traced_logits(model, points)
    finally:
        for hook in hooks:
            hook.remove()
    # the very tensor, and not written to since
    head = next((layer for layer, output, was in last if output is logits and output._version == was), None)
    return leaf, logits, head


def gradient_of(logits: Tensor, leaf: Tensor, weights: Tensor) -> Tensor:
    """d(sum of weights * logits) / d(leaf), shaped like leaf: zeros where the logits do not depend on the pixels.

    logits, weights: (B, K). The trace is kept for the next one.
    """
    if not logits.requires_grad:
        return torch.zeros_like(leaf)
    (gradient,) = torch.autograd.grad(logits, leaf, weights, retain_graph=True, allow_unused=True)
    return torch.zeros_like(leaf) if gradient is None else gradient
