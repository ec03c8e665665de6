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


def gradient_of(value: Tensor, leaf: Tensor, *, more_to_come: bool) -> Tensor:
    """d(sum of value) / d(leaf), shaped like leaf: zeros where the value does not depend on the pixels."""
    if not value.requires_grad:
        return torch.zeros_like(leaf)
    (gradient,) = torch.autograd.grad(value.sum(), leaf, retain_graph=more_to_come, allow_unused=True)
    return torch.zeros_like(leaf) if gradient is None else gradient
