"""Refines DeepFool's crossings by a search along the boundary, which gives margins as tight as those of strong attacks.

DeepFool stops at the first point across the boundary. At the nearest point of the boundary, the perturbation is
perpendicular to it (in the norm's sense). The search goes back from the crossing to the boundary, and then repeatedly
to the point where the linearised boundary is nearest to the image: a projected gradient method with a step size per
image, which takes one forward and one backward pass per round.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dfal_cli.margins.boundary import Linearisation, blocked_by_box, indices_of, others_of, rounding_of
from dfal_cli.margins.crossing import Crossing
from dfal_cli.margins.deepfool_walk import deepfool
from dfal_cli.margins.gradients import logits_of, pixel_gradients
from dfal_cli.margins.norms import NORMS, Norm, per_image
from dfal_cli.margins.thin import thin_convolutions

MAX_ROUNDS = 10
"""Maximum number of projections along the boundary."""

GROWTH, SHRINKAGE = 1.5, 3.0
"""Factors of the step size: it grows (up to 1) after a step that shortened the perturbation, and shrinks otherwise."""

MIN_GAIN = 0.003
"""An image is done when another round would shorten its margin by less than this share, if the boundary were flat."""

TRUST_FACTOR = 1.5
"""A linearisation locates the boundary on a ray only if the boundary is within this factor of the point's length."""

SECANT_STEPS = 2
"""Number of secant steps along the ray, which correct for the curvature of the boundary at the end of the search."""

PUSHES = (1.00005, 1.001, 1.01, 1.05)
"""Factors by which a point is moved outwards in turn if it has not crossed after the secant steps."""

BACK = 0.99
"""The prediction must be unchanged at this share of the final perturbation."""

DEEPFOOL_EXCESS = 2.0
"""Assumed maximum ratio of DeepFool's perturbation to the margin when images are given up."""


def refined(
    model: nn.Module,
    images: Tensor,
    norm: str = "l2",
    max_iterations: int = 50,
    overshoot: float = 0.02,
    classes: int | None = None,
    clip: bool = False,
    give_up_beyond: float = math.inf,
) -> Crossing:
    """Estimate margins by DeepFool, and shorten them; arguments and result are those of `deepfool`.

    No margin is larger than DeepFool's. The adversarial image has crossed, and 0.99 times its perturbation has not, so
    overshoot matters only for the DeepFool stage. `iterations` are DeepFool's.

    Raises:
        KeyError: the norm is unknown.
    """
    measured_in = NORMS[norm]
    first = deepfool(model, images, norm, max_iterations, overshoot, classes, clip, DEEPFOOL_EXCESS * give_up_beyond)
    chosen = indices_of(first.crossed)
    if not len(chosen):
        return first
    with pixel_gradients(model), thin_convolutions(model):
        first = Crossing(*(values.clone() for values in first))  # tensors from inference mode are read-only
        search = _Search(model, images.detach()[chosen], Crossing(*(v[chosen] for v in first)), measured_in, clip=clip)
        search.settle(search.follow_boundary())
    for values, shorter in zip(first[:4], search.shortest[:4], strict=True):
        values[chosen] = shorter
    return first


class _OnBoundary(NamedTuple):
    """Perturbations that end on the linearised boundary."""

    perturbation: Tensor
    """(B, C, H, W)."""
    length: Tensor
    """(B,)."""
    slope: Tensor
    """(B, C, H, W): the gradient of the other class's lead."""
    near: Tensor
    """(B,) bool: whether the point is near enough to the linearised point (within TRUST_FACTOR)."""

    def of(self, images: Tensor) -> "_OnBoundary":
        """Return the rows of some images, by index."""
        return _OnBoundary(*(values[images] for values in self))


class _Search:
    """Search for shorter crossings of B images. Perturbations are (B, C, H, W)."""

    def __init__(self, model: nn.Module, start: Tensor, crossing: Crossing, norm: Norm, *, clip: bool) -> None:
        self._model, self._norm, self._clip = model, norm, clip
        self._start = start  # (B, C, H, W)
        self.shortest = crossing  # the shortest crossings found so far
        self._all = torch.arange(len(start), device=start.device)
        clean = logits_of(model, start).detach()  # (B, K)
        self._predicted = clean.argmax(1)  # (B,)
        self._target_lead = rounding_of(clean)  # (B,): more than 0, as the sign is random on the boundary itself

    def follow_boundary(self) -> "_OnBoundary":
        """Move repeatedly to the nearest point of the linearised boundary while that shortens the perturbation."""
        found = self._linearise(self.shortest.adversarial - self._start, self._all)
        step, moving = torch.ones_like(found.length), self._all
        for _ in range(MAX_ROUNDS):
            here = found.of(moving)
            nearest = self._nearest_of(here, moving)
            gain = step[moving] * (1 - self._norm.length(nearest) / here.length)
            worth = indices_of(~here.near | (gain > MIN_GAIN))
            moving, here, nearest = moving[worth], here.of(worth), nearest[worth]
            if not len(moving):
                break
            stride = per_image(step[moving].where(here.near, 0))  # 0: first go to the boundary along the ray
            there = self._linearise(here.perturbation + stride * (nearest - here.perturbation).nan_to_num(), moving)
            better = ~here.near | (there.near & (there.length < here.length))
            step[moving] = torch.where(better, (GROWTH * step[moving]).clamp(max=1), step[moving] / SHRINKAGE)
            for values, new in zip(found, there, strict=True):
                _replace(values, moving, new, better)
        return found

    def _nearest_of(self, here: "_OnBoundary", images: Tensor) -> Tensor:
        """Return the shortest perturbations that reach the linearised boundaries, (A, C, H, W)."""
        slope = here.slope
        if self._clip:
            slope = slope.masked_fill(blocked_by_box(self._start[images] + here.perturbation, slope), 0)
        height = (slope * here.perturbation).flatten(1).sum(1)  # (A,): the lead gained from image to boundary
        return self._norm.direction(slope) * per_image(height / self._norm.dual(slope))

    def settle(self, found: "_OnBoundary") -> None:
        """Find crossings near the given points, and ensure that 0.99 times the shortest perturbation does not cross."""
        ray = found.perturbation
        rate = (found.slope * ray).flatten(1).sum(1)  # (B,): derivative of the lead by the share of the ray
        share, lead = torch.ones_like(rate), self._evaluate(ray, self._all)
        for _ in range(SECANT_STEPS):
            closer = (share - (lead - self._target_lead) / rate).nan_to_num(1).clamp(1 / TRUST_FACTOR, TRUST_FACTOR)
            lead_closer = self._evaluate(per_image(closer) * ray, self._all)
            secant = (lead_closer - lead) / (closer - share)
            rate = secant.where(secant.isfinite() & (secant > 0), rate)
            share, lead = closer, lead_closer
        unsure = indices_of(lead <= 0)
        for push in PUSHES:
            unsure = unsure[indices_of(self._evaluate(push * per_image(share[unsure]) * ray[unsure], unsure) <= 0)]
        unsure, back = self._all, torch.full_like(self.shortest.margin, BACK)
        while len(unsure):  # go further back while that shortens the perturbation
            margin = self.shortest.margin[unsure]
            self._evaluate(per_image(back[unsure]) * (self.shortest.adversarial - self._start)[unsure], unsure)
            shorter = self.shortest.margin[unsure] < margin
            done = ~shorter & (back[unsure] == BACK)
            back[unsure] = torch.where(shorter, back[unsure].square(), BACK)
            unsure = unsure[indices_of(~done)]

    def _evaluate(self, perturbation: Tensor, images: Tensor) -> Tensor:
        """Return the clear lead of other classes at the perturbed images, (A,), and record shorter crossings.

        perturbation: (A, C, H, W); images: (A,) indices.
        """
        points = self._points(perturbation, images)
        return self._record(points, logits_of(self._model, points).detach(), images)

    def _linearise(self, perturbation: Tensor, images: Tensor) -> "_OnBoundary":
        """Linearise the network at the perturbed images, and find where each ray meets the linearised boundary."""
        points, predicted = self._points(perturbation, images), self._predicted[images]
        here = Linearisation.at(self._model, points)
        logits = here.logits
        lead = self._record(points, logits, images)
        slope = here.slope(predicted, towards=others_of(logits, predicted).argmax(1))
        perturbation = points - self._start[images]
        factor = 1 - (lead - self._target_lead[images]) / (slope * perturbation).flatten(1).sum(1)
        near = (factor > 1 / TRUST_FACTOR) & (factor < TRUST_FACTOR)
        factor = factor.nan_to_num(1).clamp(1 / TRUST_FACTOR, TRUST_FACTOR)
        return _OnBoundary(per_image(factor) * perturbation, factor * self._norm.length(perturbation), slope, near)

    def _record(self, points: Tensor, logits: Tensor, images: Tensor) -> Tensor:
        """Record points (A, C, H, W) that are shorter crossings, given their logits (A, K); return the leads (A,)."""
        length = self._norm.length(points - self._start[images])
        lead = self._lead(logits, images)
        shorter = (lead > 0) & logits.isfinite().all(1) & (length < self.shortest.margin[images])
        _replace(self.shortest.adversarial, images, points, shorter)
        _replace(self.shortest.margin, images, length, shorter)
        _replace(self.shortest.crossing_class, images, logits.argmax(1), shorter)
        return lead

    def _points(self, perturbation: Tensor, images: Tensor) -> Tensor:
        points = self._start[images] + perturbation
        return points.clamp(0, 1) if self._clip else points

    def _lead(self, logits: Tensor, images: Tensor) -> Tensor:
        """Return by how much the top other class leads beyond rounding errors, (A, K) -> (A,); may be negative."""
        predicted = self._predicted[images]
        lead = others_of(logits, predicted).amax(1) - logits.gather(1, predicted[:, None]).squeeze(1)
        return lead - rounding_of(logits) / 2


def _replace(values: Tensor, rows: Tensor, new: Tensor, chosen: Tensor) -> None:
    """Replace the rows, (A,) indices, of values, (B, ...), by those of new, (A, ...), where `chosen`, (A,) bool.

    Rows that are not chosen are copied as well: their number is unknown until a GPU has counted them.
    """
    mask = chosen.reshape(-1, *[1] * (new.dim() - 1))
    values[rows] = new.where(mask, values[rows])
