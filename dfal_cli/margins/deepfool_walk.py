"""DeepFool (Moosavi-Dezfooli, Fawzi, Frossard, arXiv:1511.04599), multi-class, as DFAL uses it (arXiv:1802.09841)."""

import math

import torch
from torch import Tensor, nn

from dfal_cli.margins.boundary import Linearisation, Rivals, boundary_step, indices_of, lead_of, rounding_of
from dfal_cli.margins.crossing import Crossing
from dfal_cli.margins.gradients import pixel_gradients
from dfal_cli.margins.norms import NORMS, Norm, per_image
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
    """Move each image across its nearest decision boundary by repeated linearisation of the logits.

    With p the class of the clean image, each iteration steps to the nearest linearised boundary: that of the class k
    with the smallest |f_k - f_p| / ||w_k||, where w_k = grad f_k - grad f_p and ||.|| is the dual norm. On a linear
    model one step is exact. An image is done when another class leads by more than rounding errors, so that the
    crossing holds at any batch size.

    Args:
        model: float images in [0, 1], (B, C, H, W) -> logits (B, K). It runs in eval mode; its mode, requires_grad and
            .grad are left as they were.
        images: (B, C, H, W), float; the computation uses their dtype and device.
        norm: "l2" or "linf".
        max_iterations: maximum number of steps; an image that has not crossed by then has no margin.
        overshoot: share by which the perturbation is extended, so that it does not end on the boundary itself.
        classes: consider only the N classes with the largest clean logits, including the predicted one; None = all.
        clip: keep the adversarial images in the box [0, 1].
        give_up_beyond: stop with images whose perturbation becomes longer than this; they have not crossed.

    Returns:
        A Crossing; lengths are in units of the pixel range [0, 1].

    Raises:
        KeyError: the norm is unknown.
    """
    with pixel_gradients(model), thin_convolutions(model):
        walk = _Walk(model, images.detach().clone(), NORMS[norm], classes, overshoot, clip=clip, limit=give_up_beyond)
        for _ in range(max_iterations):
            if len(walk.walking):
                walk.step()
        return walk.crossing()


class _Walk:
    """A batch of B images on their way across the decision boundary."""

    def __init__(
        self, model: nn.Module, start: Tensor, norm: Norm, classes: int | None, overshoot: float, *,
        clip: bool, limit: float,
    ) -> None:  # fmt: skip
        self._model, self._norm, self._overshoot, self._clip, self._limit = model, norm, overshoot, clip, limit
        self._start = start  # (B, C, H, W)
        self._adversarial = start.clone()
        self._perturbation = torch.zeros_like(start)  # before overshoot
        self._here, head = Linearisation.with_head(model, start)
        self._predicted = self._here.logits.argmax(1)  # (B,)
        self._rivals = Rivals.of(self._here.logits.to(start.dtype), self._predicted, classes, head, norm)
        self._crossing_class = torch.full_like(self._predicted, -1)
        self._iterations = torch.zeros_like(self._predicted)
        self.walking = torch.arange(len(start), device=start.device)  # (A,) indices of images that are not done
        self._remove_done()

    def step(self) -> None:
        """Move the walking images to their nearest linearised boundary, and remove those that are done."""
        here, rivals = self._here.narrowed(self._model, self._left), self._rivals[self.walking]
        step, has_gradient = boundary_step(
            self._model, here, self._predicted[self.walking], rivals, self._norm,
            clip=self._clip, give_up_beyond=self._limit,
        )  # fmt: skip
        self._rivals.steepness[self.walking] = rivals.steepness
        start = self._start[self.walking]
        perturbation = self._perturbation[self.walking] + step.where(per_image(has_gradient), 0)
        points = start + (1 + self._overshoot) * perturbation
        if self._clip:
            points = points.clamp(0, 1)
            perturbation = (points - start) / (1 + self._overshoot)
        self._perturbation[self.walking], self._adversarial[self.walking] = perturbation, points
        self._iterations[self.walking] += has_gradient
        going_on = has_gradient
        if self._limit < math.inf:
            going_on = going_on & (self._norm.length(points - start) <= self._limit)
        self.walking = self.walking[indices_of(going_on)]
        if len(self.walking):
            self._here = Linearisation.at(self._model, self._adversarial[self.walking])
            self._remove_done()

    def _remove_done(self) -> None:
        """Remove images that have crossed, and those without finite logits, from the walking images."""
        logits = self._here.logits  # (A, K)
        finite = logits.isfinite().all(1)
        crossed = finite & (lead_of(logits, self._predicted[self.walking]) > rounding_of(logits) / 2)
        self._crossing_class[self.walking] = logits.argmax(1).where(crossed, -1)
        self._left = indices_of(finite & ~crossed)  # the rows of self._here that are still walking
        self.walking = self.walking[self._left]

    def crossing(self) -> Crossing:
        """Return the result for all B images."""
        crossed = self._crossing_class >= 0
        margin = self._norm.length(self._adversarial - self._start).where(crossed, torch.nan)
        return Crossing(self._adversarial, margin, crossed, self._crossing_class, self._iterations)
