"""The penultimate features: what the last layer sees of an image, which is where CORE-SET and BADGE measure distances
(Sener and Savarese, arXiv:1708.00489; Ash and others, arXiv:1906.03671).
"""

from typing import Any

import torch
from torch import Tensor, nn

from dfal_cli.errors import UsageError
from dfal_cli.measures.measure import Compute, Settings, evaluating

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def embedding(model: nn.Module, settings: Settings) -> Compute:
    """(B, d): the input of the last layer with parameters that is called; a convolution's is averaged over space.

    Raises UsageError, when it computes, if the network calls no such layer.
    """

    def compute(images: Tensor) -> Tensor:
        with evaluating(model), torch.no_grad():
            features = _last_input(model, images)
            if features is None:
                raise UsageError(f"--measure embedding: {settings.architecture} calls no layer that has parameters")
            if len(features) == len(images):
                return features.flatten(1)
            # It calls that layer more than once a batch, image by image as a rule.
            alone = [_last_input(model, image[None]) for image in images]
            return torch.stack([features.flatten() for features in alone if features is not None])

    return compute


def _last_input(model: nn.Module, images: Tensor) -> Tensor | None:
    """What the layer that is called last is called with, (B, ...); None if there is none."""
    last: Tensor | None = None

    def remember(layer: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        nonlocal last
        tensors = [value for value in (*args, *named.values()) if isinstance(value, Tensor)]
        if tensors:
            last = tensors[0].flatten(2).mean(2) if isinstance(layer, CONVOLUTIONS) else tensors[0]

    # Before the call: a layer inside another is called after it, though it ends first.
    layers = [layer for layer in model.modules() if next(layer.parameters(recurse=False), None) is not None]
    hooks = [layer.register_forward_pre_hook(remember, with_kwargs=True) for layer in layers]
    try:
        model(images.clone())  # its first layer may work in place
    finally:
        for hook in hooks:
            hook.remove()
    return last
