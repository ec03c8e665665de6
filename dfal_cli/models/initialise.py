"""Initial weights, and the one place where torch's global generator is borrowed."""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn


def glorot_(model: nn.Module) -> nn.Module:
    """Set Glorot-uniform weights and zero biases, as the DFAL authors do, in place."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.weight.numel():
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return model


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators for the block and put them back afterwards.

    Layers draw their initial weights and dropout masks from the global generators and take no other; so they are
    lent out under an explicit seed, and nobody outside the block sees a trace of it.
    """
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
