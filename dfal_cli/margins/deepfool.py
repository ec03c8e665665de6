"""DeepFool (Moosavi-Dezfooli, Fawzi, Frossard, arXiv:1511.04599), multi-class, as DFAL uses it (arXiv:1802.09841)."""

import math

import torch
from torch import Tensor, nn

from dfal_cli.margins.boundary import Linearisation, Rivals, boundary_step, lead_of, rounding_of
from dfal_cli.margins.crossing import Crossing
from dfal_cli.margins.gradients import pixel_gradients
from dfal_cli.margins.norms import NORMS
from dfal_cli.margins.thin import thin_convolutions


def deepfool(
    model: nn.Module,
    images: Tensor,
    norm: str = "l2",
    max_iterations: int = 50,
    overshoot: float = 0.02,
    classes: int | None = None,
    clip: bool = False,
    give_up_beyond: float = math.inf,
) -> Crossing:
    """Walk each image over the nearest decision boundary, by repeated linearisation of the logits.

    With p the class of the clean image, step towards the other class k whose linearised boundary is nearest, that is of
    smallest |f_k - f_p| / ||w_k|| with w_k = grad f_k - grad f_p and the dual norm, until the prediction is not p.
    On a linear model one step is exact. An image leaves the batch as soon as it has crossed, which takes a lead of the
    other class that is more than rounding: a crossing must be one at any batch size.

    Args:
        model: float images in [0, 1], (B, C, H, W) -> logits (B, K). Its mode, requires_grad and .grad are left as
            they were; dropout and batch statistics are off while it is used here.
        images: (B, C, H, W), float; the computation is done in their dtype, on their device.
        norm: "l2" or "linf".
        max_iterations: an image that has not crossed after so many steps has no margin.
        overshoot: the perturbation is made longer by this share, so that it does not end on the boundary itself.
        classes: consider only this many most probable classes (largest clean logits, the predicted one included);
            None = all.
        clip: keep the adversarial images in the box [0, 1].
        give_up_beyond: an image whose perturbation has become longer than this is given up: it has not crossed.

    Returns:
        A Crossing; lengths are in units of the pixel range [0, 1].

    Raises:
        KeyError: the norm is unknown.
    """
    measured_in = NORMS[norm]
    with pixel_gradients(model), thin_convolutions(model):
        start = images.detach().clone()
        adversarial = start.clone()
        perturbation = torch.zeros_like(start)  # before overshoot
        here, head = Linearisation.with_head(model, start)
        predicted = here.logits.argmax(1)  # (B,)
        rivals = Rivals.of(here.logits.to(start.dtype), predicted, classes, head, measured_in)
        crossing_class = torch.full_like(predicted, -1)
        iterations = torch.zeros_like(predicted)
        walking = torch.arange(len(start), device=start.device)  # indices of the images still walking

        for iteration in range(max_iterations + 1):
            logits = here.logits
            finite = logits.isfinite().all(1)  # others say nothing about a boundary
            crossed = finite & (lead_of(logits, predicted[walking]) > rounding_of(logits) / 2)
            crossing_class[walking[crossed]] = logits[crossed].argmax(1)
            going_on = finite & ~crossed
            walking = walking[going_on]
            if not len(walking) or iteration == max_iterations:
                break
            here, known = here.narrowed(model, going_on), rivals[walking]
            step, has_gradient = boundary_step(
                model, here, predicted[walking], known, measured_in, clip=clip, give_up_beyond=give_up_beyond
            )
            rivals.steepness[walking] = known.steepness
            walking, step = walking[has_gradient], step[has_gradient]
            perturbation[walking] += step
            points = start[walking] + (1 + overshoot) * perturbation[walking]
            if clip:
                points = points.clamp(0, 1)
                perturbation[walking] = (points - start[walking]) / (1 + overshoot)
            adversarial[walking] = points
            iterations[walking] += 1
            walking = walking[measured_in.length(points - start[walking]) <= give_up_beyond]
            if not len(walking):
                break
            here = Linearisation.at(model, adversarial[walking])

        crossed = crossing_class >= 0
        margin = measured_in.length(adversarial - start)
        return Crossing(adversarial, margin.where(crossed, torch.nan), crossed, crossing_class, iterations)
