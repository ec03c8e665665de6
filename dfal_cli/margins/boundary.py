"""The nearest of a point's linearised decision boundaries, found with as few gradients as may be."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dfal_cli.margins.gradients import gradient_of, traced_logits, traced_with_head
from dfal_cli.margins.norms import Norm, per_image

SEEN_STEEPNESS = 2.0
"""A class whose gradient was seen at an earlier step is taken to be at most so many times steeper now. On 13 trained
networks this changed none of 19,500 margins, on small random ones one of 200, by 9 %; 1.5 changed half a per cent."""

UNSEEN_STEEPNESS = 4.0
"""A class whose gradient was not seen is taken to be at most so many times steeper than the steepest seen class of the
same image would be with its weights in the last layer. On seven small networks, trained on 100 to 10,000 images or not
at all, 4 changed no margin in L2 (and one of 5,000 in L-infinity, by 1 %), and 3 one of 5,000 in L2, by 4 %."""

WIDE_ENOUGH = 10
"""A last layer of fewer inputs, and of fewer than classes, tells too little of how steep a class is: what leads to two
inputs may be a hundred times steeper in one direction than in another."""

UNSEEN_LIKELY = 1.5
"""The same, where all that hangs on it is whether to give an image up beyond twice the threshold. When it was 1, and
one and a half times the threshold, 12 of the nearest 6,000 of 59,000 MNIST images were given up."""

ROUNDING_UNITS = 16
"""A gap of fewer rounding units of the logits is none: another batch size may turn it round."""

WORTH_TRACING_AGAIN = 0.6
"""Below this share of images that still need a gradient, a new forward pass of those alone is cheaper than a backward
pass of all."""


@dataclass(frozen=True)
class Linearisation:
    """The network around a batch of A points, which are some or all of the T points of a trace."""

    leaf: Tensor
    """(T, C, H, W): the points traced, to be differentiated to."""
    traced: Tensor
    """Their logits (T, K), traced back to the leaf."""
    rows: Tensor
    """(A,): which of them are meant."""

    @classmethod
    def at(cls, model: nn.Module, points: Tensor) -> "Linearisation":
        """Run the network forward, keeping what differentiation needs."""
        return cls(*traced_logits(model, points), torch.arange(len(points), device=points.device))

    @classmethod
    def with_head(cls, model: nn.Module, points: Tensor) -> tuple["Linearisation", nn.Linear | None]:
        """`at`, and the linear layer that the logits came out of, if there is one."""
        leaf, logits, head = traced_with_head(model, points)
        return cls(leaf, logits, torch.arange(len(points), device=points.device)), head

    def narrowed(self, model: nn.Module, wanted: Tensor) -> "Linearisation":
        """Around the points with `wanted`, (A,) bool: in the same trace, or in a new one if that is cheaper."""
        rows = self.rows[wanted]
        if len(rows) < WORTH_TRACING_AGAIN * len(self.leaf):
            return Linearisation.at(model, self.leaf.detach()[rows])
        return Linearisation(self.leaf, self.traced, rows)

    @property
    def points(self) -> Tensor:
        """(A, C, H, W)."""
        return self.leaf.detach()[self.rows]

    @property
    def logits(self) -> Tensor:
        """(A, K), for their values only."""
        return self.traced.detach()[self.rows]

    def slope(self, predicted: Tensor, towards: Tensor) -> Tensor:
        """w_k = grad f_k - grad f_p for the classes k in `towards`, (A,): (A, C, H, W)."""
        weights = torch.zeros_like(self.traced)
        weights[self.rows, towards] = 1
        weights[self.rows, predicted] = -1
        return gradient_of(self.traced, self.leaf, weights)[self.rows]


@dataclass(frozen=True)
class Rivals:
    """The other classes that A images might cross to, and what is known of the way there. Rows are images."""

    classes: Tensor
    """(A, R) indices, those of the largest clean logits first."""
    contrast: Tensor
    """(A, R): how much their weights in the last layer differ from those of the predicted class; inf if unknown."""
    steepness: Tensor
    """(A, R): dual norm of w_k at the last step where it was computed; 0 as long as it never was."""

    @classmethod
    def of(cls, logits: Tensor, predicted: Tensor, count: int | None, head: nn.Linear | None, norm: Norm) -> "Rivals":
        """The `count` most probable classes (None: all), the predicted one included; logits (A, K), predicted (A,)."""
        number = max(min(count or logits.shape[1], logits.shape[1]) - 1, 0)
        classes = others_of(logits, predicted).topk(number, dim=1).indices
        contrast = torch.full(classes.shape, torch.inf, dtype=logits.dtype, device=logits.device)
        if head is not None and head.in_features >= min(head.out_features, WIDE_ENOUGH):
            for one in set(predicted.tolist()):
                difference = (head.weight - head.weight[one])[:, :, None, None]  # (K, features, 1, 1)
                here = predicted == one
                contrast[here] = norm.dual(difference).to(logits.dtype)[classes[here]]
        return cls(classes, contrast, torch.zeros_like(contrast))

    def __getitem__(self, images: Tensor) -> "Rivals":
        return Rivals(self.classes[images], self.contrast[images], self.steepness[images])

    def least_distance(self, gap: Tensor, unexamined: Tensor) -> Tensor:
        """The least distance that the boundary of each class can have; inf if examined just now. All are (A, R)."""
        steepest = self._steepness(seen_times=SEEN_STEEPNESS, unseen_times=UNSEEN_STEEPNESS)
        return (gap / steepest).where(unexamined, torch.inf)

    def likely_distance(self, gap: Tensor) -> Tensor:
        """To the nearest boundary, (A,), rather too small: 0 where nothing is known of some class."""
        return (gap / self._steepness(seen_times=1, unseen_times=UNSEEN_LIKELY)).amin(1)

    def _steepness(self, *, seen_times: float, unseen_times: float) -> Tensor:
        """What is known of it, times a factor, (A, R); inf where nothing is known."""
        # of the weights' difference into the pixels; where there is no difference it tells nothing
        reach = torch.where(self.contrast > 0, self.steepness / self.contrast, 0).amax(1, keepdim=True)
        unseen = torch.where(reach > 0, unseen_times * reach * self.contrast, torch.inf)
        return torch.where(self.steepness > 0, seen_times * self.steepness, unseen)


def boundary_step(
    model: nn.Module,
    here: Linearisation,
    predicted: Tensor,
    rivals: Rivals,
    norm: Norm,
    *,
    clip: bool,
    give_up_beyond: float,
) -> tuple[Tensor, Tensor]:
    """The step from each point to the nearest of its linearised boundaries.

    The distance to class k is its gap |f_k - f_p| over its steepness, the dual norm of w_k. A gap costs nothing and a
    steepness a backward pass. So classes are taken in the order of the least distance they can have, and an image is
    done when no other class can be nearer than the best so far. What a class can have is bounded by what it had a step
    ago, or, if it was never looked at, by its weights in the last layer and by how far such a difference of weights has
    reached into the pixels of this very image. On a linear model that is exact, and where the logits come out of
    something else every class is looked at once. What bounds an image is its own: batch mates change nothing.
    Where all boundaries are likely to be further than `give_up_beyond`, it does not matter which is the nearest.

    predicted: (A,); rivals: the steepness of those examined is written into them
    -> step (A, C, H, W), and has_gradient (A,) bool: false where no class gives a direction to go.
    """
    points, logits = here.points, here.logits
    gap = (logits.gather(1, predicted[:, None]) - logits.gather(1, rivals.classes)).abs()  # (A, R)
    # On the boundary itself a gap may be nothing but rounding, even 0. A few rounding units more get clearly over it.
    gap = gap.maximum(rounding_of(logits)[:, None]).to(points.dtype)
    nearest = torch.full_like(gap[:, 0], torch.inf)
    gradient_there = torch.zeros_like(points)
    unexamined = torch.ones_like(gap, dtype=torch.bool)
    traced, place = here, torch.arange(len(points), device=points.device)  # place: (images in `traced`,)
    for _ in range(rivals.classes.shape[1]):
        least, k = rivals.least_distance(gap, unexamined).min(1)  # (A,)
        hopeless = nearest.isfinite() & (rivals.likely_distance(gap) > give_up_beyond)
        needing = ((least < nearest) & ~hopeless)[place]
        if not needing.any():
            break
        traced, place = traced.narrowed(model, needing), place[needing]
        k = k[place]
        w = traced.slope(predicted[place], rivals.classes[place, k])
        if clip:
            w = w.masked_fill(blocked_by_box(points[place], w), 0)
        rivals.steepness[place, k] = norm.dual(w)
        unexamined[place, k] = False
        # inf where there is no gradient; nan compares as not nearer
        distance = gap[place, k] / rivals.steepness[place, k]
        nearer = distance < nearest[place]
        nearest[place[nearer]] = distance[nearer]
        gradient_there[place[nearer]] = w[nearer]
    has_gradient = nearest.isfinite()
    return norm.direction(gradient_there) * per_image(nearest), has_gradient


def blocked_by_box(points: Tensor, direction: Tensor) -> Tensor:
    """The pixels at 0 or 1 that a step along `direction` would push out of the box; shaped like points."""
    return ((points <= 0) & (direction < 0)) | ((points >= 1) & (direction > 0))


def others_of(logits: Tensor, predicted: Tensor) -> Tensor:
    """The logits of the other classes: (A, K) with -inf in place of the predicted one, (A,)."""
    return logits.scatter(1, predicted[:, None], -torch.inf)


def lead_of(logits: Tensor, predicted: Tensor) -> Tensor:
    """By how much another class leads over the predicted one, (A, K), (A,) -> (A,); 0 if none does."""
    return logits.amax(1) - logits.gather(1, predicted[:, None]).squeeze(1)


def rounding_of(logits: Tensor) -> Tensor:
    """The difference of two logits, (A, K) -> (A,), that is within rounding.

    It scales with the logits: an absolute constant would break the invariance to their scale.
    """
    return ROUNDING_UNITS * torch.finfo(logits.dtype).eps * logits.detach().abs().amax(1)
