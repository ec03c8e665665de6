"""DeepFool (Moosavi-Dezfooli, Fawzi, Frossard, arXiv:1511.04599), multi-class, as DFAL uses it (arXiv:1802.09841)."""

import torch
from torch import Tensor, nn

from dfal_cli.margins.crossing import Crossing
from dfal_cli.margins.gradients import gradient_of, logits_of, pixel_gradients, traced_logits
from dfal_cli.margins.norms import NORMS, Norm, per_image


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
    On a linear model one step is exact. An image leaves the batch as soon as it has crossed.

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
    with pixel_gradients(model):
        start = images.detach().clone()
        adversarial = start.clone()
        perturbation = torch.zeros_like(start)  # before overshoot
        with torch.no_grad():
            clean = logits_of(model, start)  # (B, K)
        predicted = clean.argmax(1)  # (B,)
        rivals = nearest_rivals(clean, predicted, classes)  # (B, R)
        crossing_class = torch.full_like(predicted, -1)
        iterations = torch.zeros_like(predicted)
        # Indices of the images still walking. Logits that are not finite say nothing about a boundary.
        walking = clean.isfinite().all(1).nonzero().squeeze(1)

        for _ in range(max_iterations):
            points = adversarial[walking]
            step, has_gradient = boundary_step(
                model, points, predicted[walking], rivals[walking], measured_in, clip=clip
            )
            walking, step = walking[has_gradient], step[has_gradient]
            if not len(walking):
                break
            perturbation[walking] += step
            points = start[walking] + (1 + overshoot) * perturbation[walking]
            if clip:
                points = points.clamp(0, 1)
                perturbation[walking] = (points - start[walking]) / (1 + overshoot)
            adversarial[walking] = points
            iterations[walking] += 1
            with torch.no_grad():
                logits = logits_of(model, points)
            finite, now = logits.isfinite().all(1), logits.argmax(1)
            crossed = finite & (now != predicted[walking])
            crossing_class[walking[crossed]] = now[crossed]
            walking = walking[finite & ~crossed]
            if not len(walking):
                break

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


def boundary_step(
    model: nn.Module, points: Tensor, predicted: Tensor, rivals: Tensor, norm: Norm, *, clip: bool
) -> tuple[Tensor, Tensor]:
    """The step from each point to the nearest of its linearised boundaries.

    points: (B, C, H, W); predicted: (B,); rivals: (B, R)
    -> step (B, C, H, W), and has_gradient (B,) bool: false where no class gives a direction to go.
    """
    leaf, logits = traced_logits(model, points)
    gaps = logits.gather(1, predicted[:, None]) - logits.gather(1, rivals)  # (B, R), f_p - f_k
    # On the boundary itself the gap may be nothing but rounding, even 0. One rounding unit more gets over it, without
    # harm to the invariance to the scale of the logits that an absolute constant would break.
    rounding = torch.finfo(logits.dtype).eps * logits.detach().abs().amax(1)  # (B,)
    nearest = torch.full_like(rounding, torch.inf)
    gradient_there = torch.zeros_like(points)
    for k in range(rivals.shape[1]):
        gap = gaps[:, k].detach().abs().maximum(rounding)
        w = -gradient_of(gaps[:, k], leaf, more_to_come=k + 1 < rivals.shape[1])  # grad f_k - grad f_p
        if clip:
            w = w.masked_fill(blocked_by_box(points, w), 0)
        distance = gap / norm.dual(w)  # inf where there is no gradient; nan compares as not nearer
        nearer = distance < nearest
        nearest = distance.where(nearer, nearest)
        gradient_there = w.where(per_image(nearer), gradient_there)
    has_gradient = nearest.isfinite()
    return norm.direction(gradient_there) * per_image(nearest), has_gradient


def blocked_by_box(points: Tensor, direction: Tensor) -> Tensor:
    """The pixels at 0 or 1 that a step along `direction` would push out of the box; shaped like points."""
    return ((points <= 0) & (direction < 0)) | ((points >= 1) & (direction > 0))
