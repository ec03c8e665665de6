"""Measures, margins and twins of images, computed while the images stream by."""

import copy
import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dfal_cli.checkpoint import LoadedNetwork
from dfal_cli.errors import UsageError
from dfal_cli.images import DecodedBatch, MaxValues, are_flat
from dfal_cli.margins import ESTIMATORS, Crossing
from dfal_cli.margins.crossing import push_across_boundary, why_not_crossed
from dfal_cli.margins.norms import NORMS
from dfal_cli.margins.reasons import NOT_FINITE
from dfal_cli.measures import probabilities
from dfal_cli.schemas import CROSSED, SKIPPED, UNCROSSED
from dfal_cli.scoring.rows import MARGINS, MEASURED, OUTCOMES, REASONS, UNKNOWN, Block, no_margins
from dfal_cli.system.device import FittingBatches, kept_pixels, on_device
from dfal_cli.system.reporting import Reporter

Stream = Callable[[Iterable[Sequence[str]]], Iterator[DecodedBatch]]
"""Decodes batches of images; it may take some batches ahead."""

ExtraMeasures = Callable[[Tensor], dict[str, npt.NDArray[np.float32]]]
"""Computes extra measures of a batch of images (B, C, H, W), B > 0: arrays (B, ...) by name."""


class MarginSettings(NamedTuple):
    """Settings of the margin estimator."""

    estimator: str
    norm: str
    max_iterations: int
    overshoot: float
    classes: int | None
    clip: bool


class ScoredBatch(NamedTuple):
    """The results of one batch."""

    images: list[str]
    """The readable ones, in order; all arrays below have one row for each of them."""
    unreadable: list[tuple[str, str]]
    """Path and reason of each unreadable image."""
    max_values: MaxValues
    flat: npt.NDArray[np.bool_]
    """(B,): which images are a single flat colour."""
    measured: Block
    margins: Block
    extra_measures: dict[str, npt.NDArray[np.float32]]


class Examined(NamedTuple):
    """The margins of one batch."""

    images: list[str]
    """The readable ones, in order."""
    margins: Block
    """One row for each of them."""
    unreadable: list[tuple[str, str]]
    """Path and reason of each image that has become unreadable since its first reading."""


class TwinsOfBatch(NamedTuple):
    """The twins of one batch."""

    twins: list[tuple[str, npt.NDArray[np.float32]]]
    """Path and twin, (C, H, W), of each image whose twin is clearly across the decision boundary."""
    unreadable: list[tuple[str, str]]
    """As of `Examined`."""


class Scorer:
    """Computes measures of images with one network and one set of margin settings."""

    def __init__(
        self,
        network: LoadedNetwork,
        margins: MarginSettings,
        stream: Stream,
        batches: FittingBatches,
        reporter: Reporter,
    ) -> None:
        self._network = network
        self._margins = margins
        self._stream = stream
        self._batches = batches
        self._reporter = reporter

    def batches_of(
        self, images: Iterable[Sequence[str]], *, with_margins: bool, extra_measures: ExtraMeasures | None = None
    ) -> Iterator[ScoredBatch]:
        """Yield the scores of batches of images; without margins, the images count as not examined.

        extra_measures: computed from the same decoded images.
        """
        for decoded in self._stream(images):
            floats = self._floats(decoded)
            measured = self._in_batches(self._measure, floats, MEASURED)
            yield ScoredBatch(
                decoded.images,
                decoded.unreadable,
                decoded.max_values,
                are_flat(decoded.pixels),
                measured,
                self._margins_of(floats) if with_margins else _not_examined(measured),
                extra_measures(floats) if extra_measures is not None and len(floats) else {},
            )

    def margins_of(
        self, images: Iterable[Sequence[str]], *, give_up_beyond: float = math.inf, exact: bool = False
    ) -> Iterator[Examined]:
        """Yield the margins of batches of images.

        Images whose perturbation grows longer than `give_up_beyond` are `skipped`. exact: compute in float64.
        """
        for decoded in self._stream(images):
            floats = self._floats(decoded)
            margins = self._margins_of(floats, give_up_beyond=give_up_beyond, exact=exact)
            yield Examined(decoded.images, margins, decoded.unreadable)

    def twins_of(self, images: Iterable[Sequence[str]]) -> Iterator[TwinsOfBatch]:
        """Yield the twins of batches of images.

        Twins are computed a second time, because those of a whole pool do not fit in memory.
        """
        for decoded in self._stream(images):
            found = self._batches.apply(self._twins, self._floats(decoded))
            twins = itertools.chain.from_iterable(zip(*part, strict=True) for part in found)
            named = zip(decoded.images, twins, strict=True)
            kept = [(name, twin) for name, (twin, is_across) in named if is_across]
            yield TwinsOfBatch(kept, decoded.unreadable)

    def _floats(self, decoded: DecodedBatch) -> Tensor:
        pixels, device, kept = decoded.pixels, self._network.device, None
        if decoded.stored is not None:
            file, total, rows = decoded.stored
            kept = kept_pixels(file, (total, *pixels.shape[1:]), device)
        there = on_device(torch.from_numpy(pixels), device) if kept is None else kept.of(rows, pixels)
        return there.float() / 255

    def _cross(self, model: nn.Module, images: Tensor, *, give_up_beyond: float = math.inf) -> Crossing:
        settings = self._margins._asdict()
        estimator = ESTIMATORS[settings.pop("estimator")]
        return estimator(model, images, **settings, give_up_beyond=give_up_beyond)

    @functools.cached_property
    def _exact_model(self) -> nn.Module | None:
        """The network in float64; None if it works in float32 only, as a user's own network may."""
        try:
            model = copy.deepcopy(self._network.model).double()
            with torch.no_grad():
                model(torch.zeros(1, *self._network.input_shape, dtype=torch.float64, device=self._network.device))
        except (RuntimeError, TypeError, NotImplementedError, UsageError):  # it cannot be copied, or needs float32
            self._reporter.warn("the network does not compute in float64: the order of near-ties is uncertain")
            return None
        return model

    def _in_batches(self, function: Callable[[Tensor], Block], images: Tensor, kind: np.dtype[Any]) -> Block:
        return np.concatenate([np.empty(0, kind), *self._batches.apply(function, images)])

    def _measure(self, images: Tensor) -> Block:
        """Return the probability measures and the gap between the two largest logits."""
        with torch.no_grad():
            logits = self._network.model(images)
        top = logits.topk(2, dim=1).values
        measured = _block(MEASURED, (*probabilities(logits), top[:, 0] - top[:, 1]))
        measured["predicted"][~np.isfinite(measured["confidence"])] = UNKNOWN
        return measured

    def _margins_of(self, images: Tensor, *, give_up_beyond: float = math.inf, exact: bool = False) -> Block:
        exact_model = self._exact_model if exact else None
        model, settings = exact_model or self._network.model, self._margins

        def margins_of(part: Tensor) -> Block:
            points = part.double() if exact_model else part
            crossing = self._cross(model, points, give_up_beyond=give_up_beyond)
            length = NORMS[settings.norm].length(crossing.adversarial - points)
            margins = _crossing_block(crossing, is_given_up=length.double() > give_up_beyond)
            uncrossed = np.flatnonzero(margins["outcome"] == OUTCOMES.index(UNCROSSED))
            if len(uncrossed):
                rows = on_device(torch.from_numpy(uncrossed), points.device)
                last, iterations = crossing.adversarial[rows], crossing.iterations[rows]
                why = why_not_crossed(model, last, iterations, settings.max_iterations)
                margins["why"][uncrossed] = [REASONS.index(reason) for reason in why]
            return margins

        return self._in_batches(margins_of, images, MARGINS)

    def _twins(self, images: Tensor) -> tuple[npt.NDArray[np.float32], list[bool]]:
        adversarial = self._cross(self._network.model, images).adversarial
        twins, across = push_across_boundary(self._network.model, images, adversarial, clip=self._margins.clip)
        return twins.cpu().numpy(), across.tolist()


def _not_examined(measured: Block) -> Block:
    """Return margin rows for images without margins: `uncrossed` if their logits are not finite, else `skipped`."""
    margins = no_margins(len(measured))
    not_finite = ~np.isfinite(measured["logit_gap"])
    margins["outcome"][not_finite] = OUTCOMES.index(UNCROSSED)
    margins["why"][not_finite] = REASONS.index(NOT_FINITE)
    return margins


def _crossing_block(crossing: Crossing, is_given_up: Tensor) -> Block:
    """Return margin rows for a crossing, without the reasons why images have not crossed; is_given_up: (B,) bool."""
    known = crossing.margin.isfinite()
    uncrossed = torch.where(is_given_up, OUTCOMES.index(SKIPPED), OUTCOMES.index(UNCROSSED))
    outcome = uncrossed.masked_fill(known, OUTCOMES.index(CROSSED))
    margin, crossing_class = crossing.margin.where(known, torch.nan), crossing.crossing_class.where(known, UNKNOWN)
    why = torch.full_like(outcome, REASONS.index(None))
    return _block(MARGINS, (outcome, margin, crossing_class, crossing.iterations, why))


def _block(kind: np.dtype[Any], columns: Iterable[Tensor]) -> Block:
    """Return rows of dtype `kind` with these columns, (B,) each."""
    # numpy has no bfloat16; float64 holds classes exactly. One copy: the host waits for a GPU only once.
    values = torch.stack([column.detach().double() for column in columns]).cpu().numpy()  # (columns, B)
    block = np.empty(len(values[0]), kind)
    for name, column in zip(kind.names or (), values, strict=True):
        block[name] = column
    return block
