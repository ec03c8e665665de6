"""Time in forward equivalents: that of a method over that of one plain forward pass over the same images."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

REPEATS = 3
REPEATED_UP_TO = 10.0
"""Seconds: what took longer is not run again."""


class Cost(NamedTuple):
    """What a method took."""

    seconds: float
    forward_equivalents: float


def seconds_of(function: Callable[[], object], device: torch.device) -> float:
    """CPU time of this process; on a GPU, wall time until it is done."""
    if device.type == "cpu":
        started = time.process_time()
        function()
        return time.process_time() - started
    torch.cuda.synchronize(device)
    started = time.perf_counter()
    function()
    torch.cuda.synchronize(device)
    return time.perf_counter() - started


def least_seconds(function: Callable[[], object], device: torch.device) -> float:
    """The least of a few runs."""
    times: list[float] = []
    while len(times) < REPEATS and sum(times) < REPEATED_UP_TO:
        times.append(seconds_of(function, device))
    return min(times)


def cost_of(function: Callable[[], object], model: nn.Module, parts: Sequence[Tensor]) -> Cost:
    """Cost of `function`, which does something with the image batches `parts`, beside that of a forward pass of them.

    The forward pass is measured before and after, so that a machine that slows down meanwhile disturbs both.
    """

    def forward() -> None:
        with torch.no_grad():
            for part in parts:
                model(part)

    device = parts[0].device
    before = least_seconds(forward, device)
    seconds = least_seconds(function, device)
    return Cost(seconds, seconds / min(before, least_seconds(forward, device)))
