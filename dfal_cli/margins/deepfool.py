"""DeepFool (Moosavi-Dezfooli, Fawzi, Frossard, arXiv:1511.04599), multi-class, as DFAL uses it (arXiv:1802.09841)."""

import torch
from torch import Tensor, nn

from dfal_cli.margins.boundary import Linearisation, boundary_step, rounding_of
from dfal_cli.margins.crossing import Crossing
from dfal_cli.margins.gradients import logits_of, pixel_gradients
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
        here = Linearisation.at(model, start)
        clean = here.logits.detach()  # (B, K)
        predicted = clean.argmax(1)  # (B,)
        rivals = nearest_rivals(clean, predicted, classes)  # (B, R)
        steepness = torch.zeros_like(rivals, dtype=start.dtype)  # (B, R), as last seen
        crossing_class = torch.full_like(predicted, -1)
        iterations = torch.zeros_like(predicted)
        # Indices of the images still walking. Logits that are not finite say nothing about a boundary.
        walking = torch.arange(len(start), device=start.device)
        finite, crossed = clean.isfinite().all(1), torch.zeros_like(predicted, dtype=torch.bool)

        for iteration in range(max_iterations + 1):
            leaving = crossed | ~finite
            walking = walking[~leaving]
            if not len(walking) or iteration == max_iterations:
                break
            if iteration or leaving.any():
                here = Linearisation.at(model, adversarial[walking])
            steep = steepness[walking]
            step, has_gradient = boundary_step(
                model, here, predicted[walking], rivals[walking], steep, measured_in, clip=clip
            )
            steepness[walking] = steep
            walking, step = walking[has_gradient], step[has_gradient]
            perturbation[walking] += step
            points = start[walking] + (1 + overshoot) * perturbation[walking]
            if clip:
                points = points.clamp(0, 1)
                perturbation[walking] = (points - start[walking]) / (1 + overshoot)
            adversarial[walking] = points
            iterations[walking] += 1
            with torch.no_grad():  # cheaper than to differentiate images that have crossed
                logits = logits_of(model, points)
            finite, (largest, now) = logits.isfinite().all(1), logits.max(1)
            lead = largest - logits.gather(1, predicted[walking, None]).squeeze(1)
            crossed = finite & (lead > rounding_of(logits) / 2)
            crossing_class[walking[crossed]] = now[crossed]

        crossed = crossing_class >= 0
        margin = measured_in.length(adversarial - start)
        return Crossing(adversarial, margin.where(crossed, torch.nan), crossed, crossing_class, iterations)


def nearest_rivals(logits: Tensor, predicted: Tensor, classes: int | None) -> Tensor:
    """The other classes an image might cross to, those of largest logit first.

    logits: (B, K); predicted: (B,) -> (B, R) class indices, R = min(classes or K, K) - 1.
    """
    others = logits.scatter(1, predicted[:, None], -torch.inf)
    count = min(classes or logits.shape[1], logits.shape[1]) - 1
    return others.topk(max(count, 0), dim=1).indices
