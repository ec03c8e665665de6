"""Finds the nearest linearised decision boundary of a point with as few gradients as possible."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dfal_cli.margins.gradients import gradient_of, traced_logits, traced_with_head
from dfal_cli.margins.norms import Norm, per_image

SEEN_STEEPNESS = 2.0
"""Bound on the growth of a class's steepness since its gradient was last computed. On 13 trained networks this changed
none of 19,500 margins, on small random networks one of 200, by 9 %; with 1.5, half a per cent changed."""

UNSEEN_STEEPNESS = 4.0
"""Bound on the steepness of a class whose gradient was never computed, relative to an estimate from the last layer's
weights and the steepest class computed for the same image. On seven small networks, untrained or trained on 100 to
10,000 images, 4 changed no margin in L2 (one of 5,000 in L-infinity, by 1 %), and 3 one of 5,000 in L2, by 4 %."""

MIN_HEAD_INPUTS = 10
"""The weights of a last layer with fewer inputs (or fewer than classes) do not predict the steepness of a class: a
direction in two features may be a hundred times steeper than another."""

UNSEEN_LIKELY = 1.5
"""Replaces UNSEEN_STEEPNESS in the decision whether to give up an image beyond twice the threshold. With 1, and one and
a half times the threshold, 12 of the nearest 6,000 of 59,000 MNIST images were given up."""

ROUNDING_UNITS = 16
"""Gaps of fewer rounding units of the logits are not significant: another batch size may reverse them."""

RETRACE_BELOW = 0.6
"""If the share of images that need a gradient is lower, a new forward pass of these images is cheaper than a backward
pass of all."""


@dataclass(frozen=True)
class Linearisation:
    """The network linearised at A points, which are some or all of the T points of a traced forward pass."""

    leaf: Tensor
    """(T, C, H, W): the traced points, with respect to which gradients are taken."""
    traced: Tensor
    """(T, K): their logits, with the graph back to the leaf."""
    rows: Tensor
    """(A,): the indices of the A points among the T."""

    @classmethod
    def at(cls, model: nn.Module, points: Tensor) -> "Linearisation":
        """Run a forward pass and keep its graph."""
        return cls(*traced_logits(model, points), torch.arange(len(points), device=points.device))

    @classmethod
    def with_head(cls, model: nn.Module, points: Tensor) -> tuple["Linearisation", nn.Linear | None]:
        """Return `at(model, points)`, and the linear layer that computed the logits, if there is one."""
        leaf, logits, head = traced_with_head(model, points)
        return cls(leaf, logits, torch.arange(len(points), device=points.device)), head

    def narrowed(self, model: nn.Module, wanted: Tensor) -> "Linearisation":
        """Return the linearisation at the points with these indices: from the same graph, or a new one if cheaper."""
        rows = self.rows[wanted]
        if len(rows) < RETRACE_BELOW * len(self.leaf):
            return Linearisation.at(model, self.leaf.detach()[rows])
        return Linearisation(self.leaf, self.traced, rows)

    @property
    def points(self) -> Tensor:
        """(A, C, H, W)."""
        return self.leaf.detach()[self.rows]

    @property
    def logits(self) -> Tensor:
        """(A, K), without graph."""
        return self.traced.detach()[self.rows]

    def slope(self, predicted: Tensor, towards: Tensor) -> Tensor:
        """Return w_k = grad f_k - grad f_p, (A, C, H, W), for the classes k in `towards`, (A,)."""
        weights = torch.zeros_like(self.traced)
        weights[self.rows, towards] = 1
        weights[self.rows, predicted] = -1
        return gradient_of(self.traced, self.leaf, weights)[self.rows]


@dataclass(frozen=True)
class Rivals:
    """The other classes that A images may cross to, with estimates of their steepness. Rows are images."""

    classes: Tensor
    """(A, R) indices, by decreasing clean logits."""
    contrast: Tensor
    """(A, R): dual norm of the difference of their last-layer weights to the predicted class; inf if unknown."""
    steepness: Tensor
    """(A, R): dual norm of w_k when it was last computed; 0 if it never was."""

    @classmethod
    def of(cls, logits: Tensor, predicted: Tensor, count: int | None, head: nn.Linear | None, norm: Norm) -> "Rivals":
        """Take the `count` most probable classes, the predicted included (None: all); logits (A, K), predicted (A,)."""
        number = max(min(count or logits.shape[1], logits.shape[1]) - 1, 0)
        classes = others_of(logits, predicted).topk(number, dim=1).indices
        contrast = torch.full(classes.shape, torch.inf, dtype=logits.dtype, device=logits.device)
        if head is not None and head.in_features >= min(head.out_features, MIN_HEAD_INPUTS):
            for one in set(predicted.tolist()):
                difference = (head.weight - head.weight[one])[:, :, None, None]  # (K, features, 1, 1)
                here = (predicted == one)[:, None]
                contrast = norm.dual(difference).to(logits.dtype)[classes].where(here, contrast)
        return cls(classes, contrast, torch.zeros_like(contrast))

    def __getitem__(self, images: Tensor) -> "Rivals":
        return Rivals(self.classes[images], self.contrast[images], self.steepness[images])

    def least_distance(self, gap: Tensor, unexamined: Tensor) -> Tensor:
        """Return a lower bound of the distance to each class's boundary; inf if just examined. All are (A, R)."""
        steepest = self._steepness(seen_times=SEEN_STEEPNESS, unseen_times=UNSEEN_STEEPNESS)
        return (gap / steepest).where(unexamined, torch.inf)

    def likely_distance(self, gap: Tensor) -> Tensor:
        """Return a low estimate of the distance to the nearest boundary, (A,); 0 if some class is unknown."""
        return (gap / self._steepness(seen_times=1, unseen_times=UNSEEN_LIKELY)).amin(1)

    def _steepness(self, *, seen_times: float, unseen_times: float) -> Tensor:
        """Return upper bounds of the steepness, (A, R): estimates times a factor; inf where nothing is known."""
        # the largest gain from last-layer weights to pixel gradients among the classes computed for the image, (A, 1)
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
    """Compute the step from each point to its nearest linearised boundary.

    The distance to class k is its gap |f_k - f_p| divided by its steepness, the dual norm of w_k, which takes a
    backward pass. Classes are therefore examined by increasing lower bound of their distance, until no other class can
    be nearer. The bounds come from earlier steps of the same image and from the last layer's weights (see Rivals), so
    other images in the batch do not matter. An image likely to be beyond `give_up_beyond` is not examined further.

    predicted: (A,); rivals: receives the steepness of the examined classes
    -> step (A, C, H, W), and has_gradient (A,) bool: false where no class has a gradient.
    """
    points, logits = here.points, here.logits
    gap = (logits.gather(1, predicted[:, None]) - logits.gather(1, rivals.classes)).abs()  # (A, R)
    # On the boundary itself the gap may be a rounding error or 0; a few rounding units get clearly across.
    gap = gap.maximum(rounding_of(logits)[:, None]).to(points.dtype)
    nearest = torch.full_like(gap[:, 0], torch.inf)
    gradient_there = torch.zeros_like(points)
    unexamined = torch.ones_like(gap, dtype=torch.bool)
    traced, place = here, torch.arange(len(points), device=points.device)  # place: index of each image in `traced`
    for examined in range(rivals.classes.shape[1]):
        least, k = rivals.least_distance(gap, unexamined).min(1)  # (A,)
        if examined:  # every image needs the first class
            hopeless = nearest.isfinite() & (rivals.likely_distance(gap) > give_up_beyond)
            needing = indices_of(((least < nearest) & ~hopeless)[place])
            if not len(needing):
                break
            traced, place = traced.narrowed(model, needing), place[needing]
        k = k[place]
        w = traced.slope(predicted[place], rivals.classes[place, k])
        if clip:
            w = w.masked_fill(blocked_by_box(points[place], w), 0)
        rivals.steepness[place, k] = norm.dual(w)
        unexamined[place, k] = False
        # inf where there is no gradient; nan is not less than anything
        distance = gap[place, k] / rivals.steepness[place, k]
        nearer = distance < nearest[place]
        nearest[place] = distance.where(nearer, nearest[place])
        gradient_there[place] = w.where(per_image(nearer), gradient_there[place])
    has_gradient = nearest.isfinite()
    return norm.direction(gradient_there) * per_image(nearest), has_gradient


def indices_of(mask: Tensor) -> Tensor:
    """Return the indices, (n,), where a mask, (A,) bool, is true.

    To index by a mask makes the host wait until a GPU has counted it, each time. These indices are found once.
    """
    return mask.nonzero().squeeze(1)


def blocked_by_box(points: Tensor, direction: Tensor) -> Tensor:
    """Return a mask of the pixels at 0 or 1 that a step along `direction` would move out of the box [0, 1]."""
    return ((points <= 0) & (direction < 0)) | ((points >= 1) & (direction > 0))


def others_of(logits: Tensor, predicted: Tensor) -> Tensor:
    """Return the logits, (A, K), with -inf in place of the predicted class, (A,)."""
    return logits.scatter(1, predicted[:, None], -torch.inf)


def lead_of(logits: Tensor, predicted: Tensor) -> Tensor:
    """Return by how much the top class leads over the predicted one, (A, K), (A,) -> (A,); 0 if they are the same."""
    return logits.amax(1) - logits.gather(1, predicted[:, None]).squeeze(1)


def rounding_of(logits: Tensor) -> Tensor:
    """Return the difference of two logits, (A, K) -> (A,), that may be due to rounding.

    It is proportional to the logits, so that margins do not depend on the scale of the logits.
    """
    return ROUNDING_UNITS * torch.finfo(logits.dtype).eps * logits.detach().abs().amax(1)
