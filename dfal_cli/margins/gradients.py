"""Differentiating a network to its pixels, and to its pixels alone."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


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
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter in needing:
            parameter.requires_grad_(True)


def logits_of(model: nn.Module, points: Tensor) -> Tensor:
    """Logits (B, K) of points (B, C, H, W). The network sees a copy: its first layer may work in place."""
    logits: Tensor = model(points.clone())
    return logits


def traced_logits(model: nn.Module, points: Tensor) -> tuple[Tensor, Tensor]:
    """Return the points as a leaf (B, C, H, W) and the logits (B, K) computed from it."""
    leaf = points.detach().requires_grad_()
    return leaf, logits_of(model, leaf)


def traced_with_head(model: nn.Module, points: Tensor) -> tuple[Tensor, Tensor, nn.Linear | None]:
    """`traced_logits`, and the linear layer that the logits came out of; None if they came out of something else."""
    last: list[tuple[nn.Linear, Tensor]] = []

    def remember(layer: nn.Module, _: object, output: Tensor) -> None:
        last[:] = [(layer, output)]  # type: ignore[list-item]  # only hung on nn.Linear

    hooks = [layer.register_forward_hook(remember) for layer in model.modules() if type(layer) is nn.Linear]
    try:
        leaf, logits = traced_logits(model, points)
    finally:
        for hook in hooks:
            hook.remove()
    head = next((layer for layer, output in last if output is logits), None)
    return leaf, logits, head


def gradient_of(logits: Tensor, leaf: Tensor, weights: Tensor) -> Tensor:
    """d(sum of weights * logits) / d(leaf), shaped like leaf: zeros where the logits do not depend on the pixels.

    logits, weights: (B, K). The trace is kept for the next one.
    """
    if not logits.requires_grad:
        return torch.zeros_like(leaf)
    (gradient,) = torch.autograd.grad(logits, leaf, weights, retain_graph=True, allow_unused=True)
    return torch.zeros_like(leaf) if gradient is None else gradient
