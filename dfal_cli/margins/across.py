"""Getting a twin off the boundary: it must be classified differently by every machine and at every batch size."""

import torch
from torch import Tensor, nn

from dfal_cli.margins.boundary import lead_of, rounding_of
from dfal_cli.margins.gradients import logits_of

LENGTHENINGS = (0.0, 1e-3, 8e-3, 0.064, 0.5, 4.0, 32.0, 256.0)
"""Shares by which the perturbation is made longer, until it suffices. The large ones are for perturbations so small
that pixels round them away; an image further from the boundary crosses at the first ones or not at all."""


def clearly_across(model: nn.Module, images: Tensor, adversarial: Tensor, *, clip: bool) -> tuple[Tensor, Tensor]:
    """Lengthen the perturbations that end within rounding of the decision boundary, by as little as suffices.

    model: in eval mode; images, adversarial: (B, C, H, W) -> twins (B, C, H, W), and across (B,) bool: the twin is
    classified differently from its image, by a clear lead.
    """
    with torch.no_grad():
        predicted = logits_of(model, images).argmax(1)  # (B,)
        twins, across = adversarial, torch.zeros(len(images), dtype=torch.bool, device=images.device)
        for share in LENGTHENINGS:
            longer = images + (1 + share) * (adversarial - images) if share else adversarial
            twins = twins.where(across[:, None, None, None], longer.clamp(0, 1) if clip else longer)
            logits = logits_of(model, twins)
            across = lead_of(logits, predicted) > 2 * rounding_of(logits)
            if across.all():
                break
    return twins, across
