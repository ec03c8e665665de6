"""The result of a margin estimator, and how to treat images that end near the boundary or have not crossed it."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from dfal_cli.margins.boundary import lead_of, rounding_of
from dfal_cli.margins.gradients import logits_of
from dfal_cli.margins.reasons import CAP_REACHED, NO_GRADIENT, NOT_FINITE

EXTENSIONS = (0.0, 1e-3, 8e-3, 0.064, 0.5, 4.0, 32.0, 256.0)
"""Shares by which a perturbation is extended, in turn, until it crosses clearly. The large ones are for perturbations
so small that the rounding of pixels removes them; other images cross with the first shares or not at all."""


class Crossing(NamedTuple):
    """The nearest points found on the other side of the decision boundary, for a batch of B images."""

    adversarial: Tensor
    """(B, C, H, W): the last point tried, in the images' dtype."""
    margin: Tensor
    """(B,): norm of (adversarial - image), overshoot included; nan where not crossed."""
    crossed: Tensor
    """(B,) bool: the prediction changed within the iteration cap."""
    crossing_class: Tensor
    """(B,) int: the class on the other side; -1 where not crossed."""
    iterations: Tensor
    """(B,) int: number of steps."""


class Estimator(Protocol):
    """A margin estimator. Its arguments are options of `score`."""

    def __call__(
        self,
        model: nn.Module,
        images: torch.Tensor,
        norm: str = ...,
        max_iterations: int = ...,
        overshoot: float = ...,
        classes: int | None = ...,
        clip: bool = ...,
        give_up_beyond: float = ...,
    ) -> Crossing:
        """Estimate the margins of `images`, (B, C, H, W)."""


def why_not_crossed(model: nn.Module, adversarial: Tensor, iterations: Tensor, max_iterations: int) -> list[str]:
    """Return for each of the A images that have not crossed the reason, by the last points tried, (A, C, H, W).

    This takes a forward pass: an estimator stops if the logits are not finite, after the last iteration, or if no class
    has a gradient. iterations: (A,).
    """
    with torch.no_grad():
        finite: Tensor = logits_of(model, adversarial).isfinite().all(1)
    capped = iterations >= max_iterations
    return [
        NOT_FINITE if not is_finite else CAP_REACHED if is_capped else NO_GRADIENT
        for is_finite, is_capped in torch.stack([finite, capped], dim=1).tolist()
    ]


def push_across_boundary(model: nn.Module, images: Tensor, adversarial: Tensor, *, clip: bool) -> tuple[Tensor, Tensor]:
    """Extend perturbations that end on the decision boundary within rounding errors, by the smallest sufficient share.

    A twin must be classified differently from its image on every machine and at every batch size.

    model: in eval mode; images, adversarial: (B, C, H, W) -> twins (B, C, H, W), and across (B,) bool: whether the twin
    is classified differently from its image by a clear lead.
    """
    with torch.no_grad():
        predicted = logits_of(model, images).argmax(1)  # (B,)
        twins, across = adversarial, torch.zeros(len(images), dtype=torch.bool, device=images.device)
        for share in EXTENSIONS:
            extended = images + (1 + share) * (adversarial - images) if share else adversarial
            twins = twins.where(across[:, None, None, None], extended.clamp(0, 1) if clip else extended)
            logits = logits_of(model, twins)
            across = lead_of(logits, predicted) > 2 * rounding_of(logits)
            if across.all():
                break
    return twins, across
