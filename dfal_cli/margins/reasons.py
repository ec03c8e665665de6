"""Why an image has not crossed."""

import torch
from torch import Tensor, nn

from dfal_cli.margins.crossing import Crossing
from dfal_cli.margins.gradients import logits_of

NO_GRADIENT, CAP_REACHED, NOT_FINITE = "no gradient", "cap reached", "not finite"


def why_not_crossed(model: nn.Module, crossing: Crossing, max_iterations: int) -> list[str | None]:
    """A reason for each of the B images that have not crossed; None for those that have.

    Told by where they ended, which is one forward pass of those few: an estimator ends an image at once where the
    logits are not finite, after the last iteration, or where no class gives a direction to go.
    """
    reasons: list[str | None] = [None] * len(crossing.crossed)
    uncrossed = (~crossing.crossed).nonzero().squeeze(1)
    if not len(uncrossed):
        return reasons
    with torch.no_grad():
        finite: Tensor = logits_of(model, crossing.adversarial[uncrossed]).isfinite().all(1)
    capped = crossing.iterations[uncrossed] >= max_iterations
    for image, is_finite, is_capped in zip(uncrossed.tolist(), finite.tolist(), capped.tolist(), strict=True):
        reasons[image] = NOT_FINITE if not is_finite else CAP_REACHED if is_capped else NO_GRADIENT
    return reasons
