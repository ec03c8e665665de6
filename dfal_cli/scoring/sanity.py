"""Sanity checks of a network on a few images: warnings if its margins would mean little."""

from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from dfal_cli.checkpoint import LoadedNetwork
from dfal_cli.images.decode import Pixels
from dfal_cli.margins.gradients import gradient_of, logits_of, pixel_gradients, traced_logits
from dfal_cli.system.device import FittingBatches, on_device
from dfal_cli.system.reporting import Reporter

PROBED = 8
"""Number of images for the checks: three forward passes and a backward pass, less than their margins cost."""

GLOBALS: dict[str, Callable[[], Any]] = {
    "the gradient mode": torch.is_grad_enabled,
    "the default type": torch.get_default_dtype,
    "the number of threads": torch.get_num_threads,
    "the random generator": lambda: torch.get_rng_state().numpy().tobytes(),
}
"""Global state of torch that a forward pass must not change."""


def probe_network(network: LoadedNetwork, pixels: Pixels, batches: FittingBatches, reporter: Reporter) -> None:
    """Warn if a few images show that the results of this network cannot be trusted.

    pixels: (B, C, H, W) uint8; B may be 0, which shows nothing.
    """
    images = on_device(torch.from_numpy(pixels), network.device).float() / 255
    for check in (_reproducibility_problems, _gradient_problems):
        found = batches.apply(partial(check, network.model), images)
        for problem in dict.fromkeys(chain.from_iterable(found)):
            reporter.warn(f"the results of this network cannot be trusted: {problem}")


def _reproducibility_problems(model: nn.Module, images: Tensor) -> list[str]:
    """Compare the logits of two identical forward passes, and of an image in a batch and alone."""
    with torch.no_grad():
        before = {name: read() for name, read in GLOBALS.items()}
        first, second, alone = (logits_of(model, part) for part in (images, images, images[:1]))
        changed = [name for name, read in GLOBALS.items() if read() != before[name]]
    problems = [f"its forward pass changes {' and '.join(changed)} of torch"] if changed else []
    if _differ(first, second):
        return [
            *problems,
            "the same images give different logits each time (dropout, or a layer in train mode?)",
        ]
    if _differ(first[:1], alone):
        return [*problems, "an image alone gives different logits than in a batch (batch norm in train mode?)"]
    return problems


def _differ(logits: Tensor, others: Tensor) -> bool:
    """Return whether two sets of logits, (B, K), differ by more than rounding."""
    finite = logits[logits.isfinite()]
    unit = finite.abs().max().item() if len(finite) else 1.0
    tolerance = max(torch.finfo(kind).eps for kind in (logits.dtype, torch.float32)) ** 0.5  # images are in float32
    return not torch.allclose(logits, others, rtol=0, atol=tolerance * unit, equal_nan=True)


def _gradient_problems(model: nn.Module, images: Tensor) -> list[str]:
    with pixel_gradients(model):
        leaf, logits = traced_logits(model, images)
        top = logits.detach().topk(2, dim=1).indices
        lead = torch.zeros_like(logits).scatter(1, top[:, :1], 1).scatter(1, top[:, 1:], -1)
        gradient = gradient_of(logits, leaf, lead)
    if (gradient.nan_to_num() != 0).any() or not logits.isfinite().all(1).any():
        return []
    return ["no pixel has a gradient (is something detached, rounded, or under no_grad?)"]
