"""Near-exact margins: per image the best of several strong attacks, polished along the boundary in float64.

It shares no code with the estimators that it judges.
"""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .methods import Method, foolbox_attack, foolbox_targeted_ddn

STARTS = 6
"""So many of an image's shortest crossings are polished, as boundaries curve: the shortest need not end shortest."""

ROUGH_ROUNDS, FINE_ROUNDS = 25, 40
SECANTS = 6
STRAIGHT = 1e-7
"""A way whose cosine with the boundary's normal is that near to 1 has nothing left to gain."""

ACROSS_BY = 1e-4
"""What float32 finds on the boundary is taken so much further, for float64 to find it across."""

FIRST_TURN, LONGER_TURN, SHORTER_TURN = 0.5, 1.5, 3.0
LEAST_TURN = 1e-4


def strong_attacks(model: nn.Module, targets: int, steps: int) -> list[Method]:
    """DDN of so many steps, half as many from near by, a fifth towards each of the `targets` most probable others."""
    untargeted = [
        foolbox_attack(model, "DDNAttack", steps=steps, init_epsilon=1.0, gamma=0.05),
        foolbox_attack(model, "DDNAttack", steps=steps // 2, init_epsilon=0.1, gamma=0.02),
    ]
    return untargeted + [foolbox_targeted_ddn(model, steps // 5, _of_rank(rank)) for rank in range(1, targets + 1)]


def near_exact(model: nn.Module, images: Tensor, starts: Sequence[Tensor]) -> Tensor:
    """The shortest way out of the predicted class that can be found from any of the `starts`: norms (B,), float64.

    images and each of starts: (B, C, H, W). A start that is not across is none; without any, the norm is inf.
    The shortest starts are polished roughly in the dtype given, and the best of what comes of them in float64.
    """
    exact, place = copy.deepcopy(model).double(), images.double()
    with torch.no_grad():
        predicted = exact(place).argmax(1)
    points = torch.stack(list(starts))  # (S, B, C, H, W)
    lengths = torch.stack([_crossing_length(exact, place, start.double(), predicted) for start in points])  # (S, B)
    order, here = lengths.argsort(0), torch.arange(len(images), device=images.device)
    best, shortest = points[order[0], here].double(), lengths.amin(0)
    for chosen in order[:STARTS]:
        rough = polish(model, images, points[chosen, here], predicted, ROUGH_ROUNDS)
        found = place + (1 + ACROSS_BY) * (rough.double() - place)
        length = _crossing_length(exact, place, found, predicted)
        best = found.where(_column(length < shortest), best)
        shortest = length.minimum(shortest)
    fine = polish(exact, place, best, predicted, FINE_ROUNDS)
    return _length(fine - place).where(shortest.isfinite(), torch.inf)


def polish(model: nn.Module, images: Tensor, points: Tensor, predicted: Tensor, rounds: int) -> Tensor:
    """Move points that are across along the boundary towards their images; returns points across, never further off.

    At the nearest boundary point, the way there is the boundary's normal. So turn the way towards the normal, at the
    same length; where that ends across the boundary, some of the length can be saved, and the next turn be larger.
    images, points: (B, C, H, W); predicted: (B,).
    """
    points = _onto_boundary(model, images, points, predicted)
    turn = torch.full_like(images[:, 0, 0, 0], FIRST_TURN)
    for _ in range(rounds):
        turning = (turn > LEAST_TURN).nonzero().squeeze(1)
        if not len(turning):
            break
        start, end, classes, share = images[turning], points[turning], predicted[turning], turn[turning]
        length = _column(_length(end - start))
        way, normal = (end - start) / length, _normal(model, end, classes)
        turned = way + _column(share) * (normal - way)
        tried = start + length * turned / _column(_length(turned))
        across = _lead(model, tried, classes) > 0
        points[turning[across]] = _onto_boundary(model, start[across], tried[across], classes[across])
        share = torch.where(across, (share * LONGER_TURN).clamp(max=1), share / SHORTER_TURN)
        turn[turning] = share.where((way * normal).flatten(1).sum(1) < 1 - STRAIGHT, 0)
    return points


def _onto_boundary(model: nn.Module, images: Tensor, points: Tensor, predicted: Tensor) -> Tensor:
    """Shorten the ways from images to points across, to where they cross; the ends stay across."""
    way = points - images
    low, high = torch.zeros_like(way[:, 0, 0, 0]), torch.ones_like(way[:, 0, 0, 0])
    lead_low, lead_high = _lead(model, images, predicted), _lead(model, points, predicted)
    for _ in range(SECANTS):
        # Not from the very ends: a step must shorten the bracket, also where a lead is 0.
        share = (lead_low / (lead_low - lead_high)).nan_to_num(0.5).clamp(1e-9, 1 - 1e-9)
        middle = low + (high - low) * share
        lead = _lead(model, images + _column(middle) * way, predicted)
        across = lead >= 0
        # Illinois: the lead at the end that stays is halved, so that both ends close in.
        low, high = torch.where(across, low, middle), torch.where(across, middle, high)
        lead_low, lead_high = torch.where(across, lead_low / 2, lead), torch.where(across, lead, lead_high / 2)
    return images + _column(high) * way


def _crossing_length(model: nn.Module, images: Tensor, points: Tensor, predicted: Tensor) -> Tensor:
    """Norm of (points - images), (B,); inf where the points are not across."""
    across = _lead(model, points, predicted) > 0
    return _length(points - images).where(across, torch.inf)


def _lead(model: nn.Module, points: Tensor, predicted: Tensor) -> Tensor:
    """The largest other logit less that of the predicted class, (B,)."""
    with torch.no_grad():
        return _lead_of(model(points), predicted)


def _lead_of(logits: Tensor, predicted: Tensor) -> Tensor:
    own = logits.gather(1, predicted[:, None]).squeeze(1)
    return logits.scatter(1, predicted[:, None], -torch.inf).amax(1) - own


def _normal(model: nn.Module, points: Tensor, predicted: Tensor) -> Tensor:
    """The direction in which the lead grows fastest, of length 1: (B, C, H, W)."""
    with torch.enable_grad():
        leaf = points.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(_lead_of(model(leaf), predicted).sum(), leaf)
    return gradient / _column(_length(gradient)).clamp(min=torch.finfo(gradient.dtype).tiny)


def _of_rank(rank: int) -> Callable[[Tensor], Tensor]:
    """From logits (B, K), the class (B,) of the given rank; 0 is the predicted one."""
    return lambda logits: logits.argsort(1, descending=True)[:, rank]


def _length(differences: Tensor) -> Tensor:
    return differences.flatten(1).norm(dim=1)


def _column(values: Tensor) -> Tensor:
    """(B,) -> (B, 1, 1, 1)."""
    return values[:, None, None, None]
