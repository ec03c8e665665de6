"""The nearest of a point's linearised decision boundaries, found with as few gradients as may be."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from dfal_cli.margins.gradients import gradient_of, traced_logits
from dfal_cli.margins.norms import Norm, per_image

SEEN_STEEPNESS = 2.0
"""A class whose gradient was seen at an earlier step is taken to be at most so many times steeper now. On two LeNet5
and a ResNet-18 this changed no margin, and 1.5 half a per cent of them by up to 3 %."""

ROUNDING_UNITS = 16
"""A gap of fewer rounding units of the logits is none: another batch size may turn it round."""

WORTH_TRACING_AGAIN = 0.6
"""Below this share of images that still need a gradient, a new forward pass of those alone is cheaper than a backward
pass of all."""


class Linearisation(NamedTuple):
    """The network around a batch of A points."""

    leaf: Tensor
    """(A, C, H, W): the points, to be differentiated to."""
    logits: Tensor
    """(A, K), traced back to the leaf."""

    @classmethod
    def at(cls, model: nn.Module, points: Tensor) -> "Linearisation":
        """Run the network forward, keeping what differentiation needs."""
        return cls(*traced_logits(model, points))

    def gaps(self, predicted: Tensor, rivals: Tensor) -> Tensor:
        """f_p - f_k for each of the rivals, (A, R)."""
        return self.logits.gather(1, predicted[:, None]) - self.logits.gather(1, rivals)


def boundary_step(
    model: nn.Module,
    here: Linearisation,
    predicted: Tensor,
    rivals: Tensor,
    steepness: Tensor,
    norm: Norm,
    *,
    clip: bool,
) -> tuple[Tensor, Tensor]:
    """The step from each point to the nearest of its linearised boundaries.

    The distance to class k is its gap over its steepness, the dual norm of w_k = grad f_k - grad f_p. A gap costs
    nothing and a steepness a backward pass. So the first step looks at every class; a later one takes the classes in
    the order of the least distance they can have by now, and is done with an image when no other can be nearer than the
    best so far. On a linear model that is exact. What bounds an image is its own: batch mates change nothing.

    predicted: (A,); rivals: (A, R) classes; steepness: (A, R), that of the last step, 0 where unseen, updated in place
    -> step (A, C, H, W), and has_gradient (A,) bool: false where no class gives a direction to go.
    """
    points, traced, place = here.leaf.detach(), here, torch.arange(len(predicted), device=predicted.device)
    gaps = traced.gaps(predicted, rivals)  # (images traced, R)
    # On the boundary itself a gap may be nothing but rounding, even 0. A few rounding units more get clearly over it.
    gap = gaps.detach().abs().maximum(rounding_of(here.logits)[:, None]).to(points.dtype)  # (A, R)
    nearest = torch.full_like(gap[:, 0], torch.inf)
    gradient_there = torch.zeros_like(points)
    unexamined = torch.ones_like(gap, dtype=torch.bool)
    for more_to_come in reversed(range(rivals.shape[1])):
        least, k = _least_distance(gap, steepness, unexamined).min(1)  # (A,)
        needing = least < nearest
        if not needing.any():
            break
        if needing.sum() < WORTH_TRACING_AGAIN * len(place):
            place = needing.nonzero().squeeze(1)
            traced = Linearisation.at(model, points[place])
            gaps = traced.gaps(predicted[place], rivals[place])
        wanted = needing[place]
        images, classes = place[wanted], k[place][wanted]
        gaps_wanted = gaps[wanted.nonzero().squeeze(1), classes]
        w = -gradient_of(gaps_wanted, traced.leaf, more_to_come=bool(more_to_come))[wanted]  # grad f_k - grad f_p
        if clip:
            w = w.masked_fill(blocked_by_box(points[images], w), 0)
        steepness[images, classes] = norm.dual(w)
        unexamined[images, classes] = False
        # inf where there is no gradient; nan compares as not nearer
        distance = gap[images, classes] / steepness[images, classes]
        nearer = distance < nearest[images]
        nearest[images[nearer]] = distance[nearer]
        gradient_there[images[nearer]] = w[nearer]
    has_gradient = nearest.isfinite()
    return norm.direction(gradient_there) * per_image(nearest), has_gradient


def blocked_by_box(points: Tensor, direction: Tensor) -> Tensor:
    """The pixels at 0 or 1 that a step along `direction` would push out of the box; shaped like points."""
    return ((points <= 0) & (direction < 0)) | ((points >= 1) & (direction > 0))


def rounding_of(logits: Tensor) -> Tensor:
    """The difference of two logits, (A, K) -> (A,), that is within rounding.

    It scales with the logits: an absolute constant would break the invariance to their scale.
    """
    return ROUNDING_UNITS * torch.finfo(logits.dtype).eps * logits.detach().abs().amax(1)


def _least_distance(gap: Tensor, steepness: Tensor, unexamined: Tensor) -> Tensor:
    """The least distance that the boundary of each class can have, (A, R): 0 where unseen, inf if examined just now."""
    least = torch.where(steepness > 0, gap / (SEEN_STEEPNESS * steepness), 0)
    return least.where(unexamined, torch.inf)
