"""DeepFool's crossing, drawn back to the boundary and along it towards the image: margins as tight as strong attacks.

DeepFool stops where it happens to cross. The nearest point of the boundary is where the way from the image meets it at
a right angle (in the norm's sense). So from the crossing go back along the ray to the boundary, and then, again and
again, to where the boundary, were it flat, would be nearest: a projected gradient method with a step of its own for
each image, that costs one forward and one backward pass a round.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dfal_cli.margins.boundary import Linearisation, blocked_by_box, others_of, rounding_of
from dfal_cli.margins.crossing import Crossing
from dfal_cli.margins.deepfool import deepfool
from dfal_cli.margins.gradients import logits_of, pixel_gradients
from dfal_cli.margins.norms import NORMS, Norm, per_image
from dfal_cli.margins.thin import thin_convolutions

ROUNDS = 10
"""Projections along the boundary, at most."""

GROWTH, SHRINKAGE = 1.5, 3.0
"""A step that made the way shorter is followed by a longer one, up to the whole way; one that did not, by a shorter."""

WORTH_A_ROUND = 0.003
"""An image is done when, were the boundary flat, another round would shorten its margin by less than this share."""

NEAR_ENOUGH = 1.5
"""A linearisation tells where the boundary is on a ray only if it is not further than this factor, out or in."""

SECANTS = 2
"""The last point is on the boundary but for its curvature. That is mended along its ray."""

PUSHES = (1.00005, 1.001, 1.01, 1.05)
"""If the point has then not crossed, it is pushed out by so much."""

BACK = 0.99
"""The share of the way to the adversarial image at which the prediction is still the old one."""

LONGER = 2.0
"""DeepFool's way is taken to be at most so many times longer than the margin, when images are given up."""


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
    """Estimate margins by DeepFool, and shorten them; arguments and answer are those of `deepfool`.

    A margin is never larger than DeepFool's. The adversarial image has crossed, and 0.99 of the way to it has not: the
    overshoot only serves DeepFool. `iterations` are DeepFool's.

    Raises:
        KeyError: the norm is unknown.
    """
    measured_in = NORMS[norm]
    first = deepfool(model, images, norm, max_iterations, overshoot, classes, clip, LONGER * give_up_beyond)
    chosen = first.crossed.nonzero().squeeze(1)
    if not len(chosen):
        return first
    with pixel_gradients(model), thin_convolutions(model):
        first = Crossing(*(values.clone() for values in first))  # those made in inference mode cannot be written to
        search = _Search(model, images.detach()[chosen], Crossing(*(v[chosen] for v in first)), measured_in, clip=clip)
        search.settle(search.go_along_the_boundary())
    for values, shorter in zip(first[:4], search.shortest[:4], strict=True):
        values[chosen] = shorter
    return first


class _OnBoundary(NamedTuple):
    """Perturbations that end on the boundary, but for its curvature."""

    perturbation: Tensor
    """(B, C, H, W)."""
    length: Tensor
    """(B,)."""
    slope: Tensor
    """(B, C, H, W): the gradient of the other class's lead."""
    near: Tensor
    """(B,) bool: near enough to where the network was linearised to be believed."""

    def of(self, images: Tensor) -> "_OnBoundary":
        """The rows of some of the images, by index or mask."""
        return _OnBoundary(*(values[images] for values in self))


class _Search:
    """The shortest crossings known, of B images, and the search for shorter ones. Perturbations are (B, C, H, W)."""

    def __init__(self, model: nn.Module, start: Tensor, crossing: Crossing, norm: Norm, *, clip: bool) -> None:
        self._model, self._norm, self._clip = model, norm, clip
        self._start = start  # (B, C, H, W)
        self.shortest = crossing
        self._everyone = torch.arange(len(start), device=start.device)
        clean = logits_of(model, start).detach()  # (B, K)
        self._predicted = clean.argmax(1)  # (B,)
        self._clear = rounding_of(clean)  # (B,): aimed at, for on the boundary itself a lead is luck

    def go_along_the_boundary(self) -> "_OnBoundary":
        """Move to where the linearised boundary is nearest, as long as that makes the way shorter."""
        found = self._linearise(self.shortest.adversarial - self._start, self._everyone)
        step, moving = torch.ones_like(found.length), self._everyone
        for _ in range(ROUNDS):
            here = found.of(moving)
            nearest = self._nearest_of(here, moving)
            gain = step[moving] * (1 - self._norm.length(nearest) / here.length)
            worth = ~here.near | (gain > WORTH_A_ROUND)
            moving, here, nearest = moving[worth], here.of(worth), nearest[worth]
            if not len(moving):
                break
            stride = per_image(step[moving].where(here.near, 0))  # first of all to the boundary, along the ray
            there = self._linearise(here.perturbation + stride * (nearest - here.perturbation).nan_to_num(), moving)
            better = ~here.near | (there.near & (there.length < here.length))
            step[moving] = torch.where(better, (GROWTH * step[moving]).clamp(max=1), step[moving] / SHRINKAGE)
            for values, new in zip(found, there, strict=True):
                values[moving[better]] = new[better]
        return found

    def _nearest_of(self, here: "_OnBoundary", images: Tensor) -> Tensor:
        """The shortest perturbations that reach the linearised boundaries, (A, C, H, W)."""
        slope = here.slope
        if self._clip:
            slope = slope.masked_fill(blocked_by_box(self._start[images] + here.perturbation, slope), 0)
        height = (slope * here.perturbation).flatten(1).sum(1)  # of the boundary over the image, in logits
        return self._norm.direction(slope) * per_image(height / self._norm.dual(slope))

    def settle(self, found: "_OnBoundary") -> None:
        """Make sure of the crossing that was found, and that 0.99 of the way to the shortest one does not cross."""
        ray = found.perturbation
        rate = (found.slope * ray).flatten(1).sum(1)  # of the lead, by shares of the ray; (B,)
        share, lead = torch.ones_like(rate), self._look(ray, self._everyone)
        for _ in range(SECANTS):
            closer = (share - (lead - self._clear) / rate).nan_to_num(1).clamp(1 / NEAR_ENOUGH, NEAR_ENOUGH)
            lead_closer = self._look(per_image(closer) * ray, self._everyone)
            secant = (lead_closer - lead) / (closer - share)
            rate = secant.where(secant.isfinite() & (secant > 0), rate)
            share, lead = closer, lead_closer
        unsure = self._everyone[lead <= 0]
        for push in PUSHES:
            unsure = unsure[self._look(push * per_image(share[unsure]) * ray[unsure], unsure) <= 0]
        unsure, back = self._everyone, torch.full_like(self.shortest.margin, BACK)
        while len(unsure):  # ever further back as long as that makes the way shorter
            margin = self.shortest.margin[unsure]
            self._look(per_image(back[unsure]) * (self.shortest.adversarial - self._start)[unsure], unsure)
            shorter = self.shortest.margin[unsure] < margin
            done = ~shorter & (back[unsure] == BACK)
            back[unsure] = torch.where(shorter, back[unsure].square(), BACK)
            unsure = unsure[~done]

    def _look(self, perturbation: Tensor, images: Tensor) -> Tensor:
        """The lead of other classes there, (A,), positive if it is a clear one; a shorter crossing is remembered.

        perturbation: (A, C, H, W); images: (A,) of which ones.
        """
        points = self._points(perturbation, images)
        return self._remember(points, logits_of(self._model, points).detach(), images)

    def _linearise(self, perturbation: Tensor, images: Tensor) -> "_OnBoundary":
        """Where the ray of each perturbation meets the boundary, as the network's linearisation there has it."""
        points, predicted = self._points(perturbation, images), self._predicted[images]
        here = Linearisation.at(self._model, points)
        logits = here.logits
        lead = self._remember(points, logits, images)
        slope = here.slope(predicted, towards=others_of(logits, predicted).argmax(1))
        perturbation = points - self._start[images]
        factor = 1 - (lead - self._clear[images]) / (slope * perturbation).flatten(1).sum(1)
        near = (factor > 1 / NEAR_ENOUGH) & (factor < NEAR_ENOUGH)
        factor = factor.nan_to_num(1).clamp(1 / NEAR_ENOUGH, NEAR_ENOUGH)
        return _OnBoundary(per_image(factor) * perturbation, factor * self._norm.length(perturbation), slope, near)

    def _remember(self, points: Tensor, logits: Tensor, images: Tensor) -> Tensor:
        """Keep the points (A, C, H, W) that are shorter crossings, by their logits (A, K); returns their leads (A,)."""
        length = self._norm.length(points - self._start[images])
        lead = self._lead(logits, images)
        shorter = (lead > 0) & logits.isfinite().all(1) & (length < self.shortest.margin[images])
        known = images[shorter]
        self.shortest.adversarial[known] = points[shorter]
        self.shortest.margin[known] = length[shorter]
        self.shortest.crossing_class[known] = logits[shorter].argmax(1)
        return lead

    def _points(self, perturbation: Tensor, images: Tensor) -> Tensor:
        points = self._start[images] + perturbation
        return points.clamp(0, 1) if self._clip else points

    def _lead(self, logits: Tensor, images: Tensor) -> Tensor:
        """By how much the best other class leads more clearly than by rounding, (A, K) -> (A,); may be negative."""
        predicted = self._predicted[images]
        lead = others_of(logits, predicted).amax(1) - logits.gather(1, predicted[:, None]).squeeze(1)
        return lead - rounding_of(logits) / 2
