"""The only use of torch's global random generators."""

import contextlib
from collections.abc import Callable, Iterator

import torch


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global random generators for the block, and restore their state afterwards.

    Layers draw their initial weights and dropout masks from the global generators and accept no others.
    """
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


@contextlib.contextmanager
def seeded_draws() -> Iterator[Callable[[int], object]]:
    """Yield a function that seeds the global generator of the CPU; its state is restored after the block."""
    with torch.random.fork_rng(devices=[]):
        yield torch.default_generator.manual_seed  # torch.manual_seed would reach for the GPUs, too
