"""From a stream of images to rows of measures, and to twins."""

import copy
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dfal_cli.checkpoint import LoadedNetwork
from dfal_cli.console import Reporter
from dfal_cli.device import FittingBatches, on_device
from dfal_cli.errors import UsageError
from dfal_cli.images import Decoded
from dfal_cli.images.decode import Pixels
from dfal_cli.margins import ESTIMATORS, Crossing
from dfal_cli.margins.across import clearly_across
from dfal_cli.margins.norms import NORMS
from dfal_cli.margins.reasons import NOT_FINITE, why_not_crossed
from dfal_cli.measures import probabilities
from dfal_cli.schemas import CROSSED, IMAGE, SKIPPED, TWIN, UNCROSSED

Stream = Callable[[Sequence[str]], Iterator[Decoded]]
"""Reads the named images, in order, as decoded batches."""

Row = dict[str, Any]
"""A row of the scores table, with the `logit_gap` besides, and `why` it has not crossed."""

Columns = list[list[Any]]
"""Measures, each a list over the images of a batch."""


class MarginSettings(NamedTuple):
    """Which margin is meant."""

    estimator: str
    norm: str
    max_iterations: int
    overshoot: float
    classes: int | None
    clip: bool


class Scorer:
    """A network, the margin that is wanted of it, and how images reach it."""

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
        self.reporter = reporter
        self.lost: dict[str, str] = {}
        """Images that could be read, and then not again, with the reasons: what is known of them by then stays."""

    def rows_of(
        self, images: Sequence[str], *, with_margins: bool, also: Callable[[Tensor], None] | None = None
    ) -> tuple[list[Row], list[tuple[str, str]]]:
        """Score the images in a stream: rows of the scores table in their order, and (image, reason) of the rest.

        Without margins the outcome is `skipped`; `logit_gap` tells in which order to look at them.
        also: is given the images of the rows, as batches (B, C, H, W) of floats, since they are decoded anyway.
        """
        rows: list[Row] = []
        unreadable: list[tuple[str, str]] = []
        with self.reporter.progress("scoring", len(images), "images") as advance:
            for decoded in self._stream(images):
                unreadable += decoded.unreadable
                floats = self._floats(decoded.pixels)
                columns = _joined(self._batches.apply(self._measure, floats))
                new = _rows(decoded.images, self._network.classes, columns)
                if with_margins:
                    self._fill_margins(new, floats)
                rows += new
                if also is not None:
                    also(floats)
                advance(len(decoded.images) + len(decoded.unreadable))
        return rows, unreadable

    def add_margins(self, rows: Sequence[Row], *, give_up_beyond: float = math.inf, exact: bool = False) -> None:
        """Read the images of `rows` again and fill in their margins; `exact`: computed in float64.

        Images given up because they would go beyond so far stay `skipped`.
        """
        row_of = {row[IMAGE]: row for row in rows}
        for decoded in self._stream(list(row_of)):
            self.lost |= dict(decoded.unreadable)
            floats = self._floats(decoded.pixels)
            chosen = [row_of[image] for image in decoded.images]
            self._fill_margins(chosen, floats, give_up_beyond=give_up_beyond, exact=exact)

    def twins_of(self, images: Sequence[str]) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """Yield each image with its twin, (C, H, W), less those that do not lie clearly across the boundary.

        They are computed again, rather than held in memory while a pool streams by.
        """
        with self.reporter.progress("twins", len(images), "images") as advance:
            for decoded in self._stream(images):
                self.lost |= dict(decoded.unreadable)
                names = iter(decoded.images)
                for twins, across in self._batches.apply(self._twins, self._floats(decoded.pixels)):
                    # names come last: they go on to the next part of the batch
                    yield from ((name, twin) for twin, is_across, name in zip(twins, across, names) if is_across)  # noqa: B905
                advance(len(decoded.images))

    def _floats(self, pixels: Pixels) -> Tensor:
        return on_device(torch.from_numpy(pixels), self._network.device).float() / 255

    def _cross(self, images: Tensor, *, give_up_beyond: float = math.inf, exact: bool = False) -> Crossing:
        settings = self._margins._asdict()
        estimator = ESTIMATORS[settings.pop("estimator")]
        model: nn.Module = self._network.model
        if exact and self._exact_model is not None:
            model, images = self._exact_model, images.double()
        return estimator(model, images, **settings, give_up_beyond=give_up_beyond)

    @functools.cached_property
    def _exact_model(self) -> nn.Module | None:
        """The network in float64; None if it does not compute in that: one of the user's own may be tied to float32."""
        try:
            model = copy.deepcopy(self._network.model).double()
            with torch.no_grad():
                model(torch.zeros(1, *self._network.input_shape, dtype=torch.float64, device=self._network.device))
        except (RuntimeError, TypeError, NotImplementedError, UsageError):  # it cannot be copied, or is tied to float32
            self.reporter.warn("the network does not compute in float64: the order of nearly equal margins is not sure")
            return None
        return model

    def _measure(self, images: Tensor) -> Columns:
        """The probability measures and the gap of the two largest logits."""
        with torch.no_grad():
            logits = self._network.model(images)
        top = logits.topk(2, dim=1).values
        return [values.tolist() for values in (*probabilities(logits), top[:, 0] - top[:, 1])]

    def _fill_margins(
        self, rows: Sequence[Row], images: Tensor, *, give_up_beyond: float = math.inf, exact: bool = False
    ) -> None:
        def margins_of(part: Tensor) -> Columns:
            crossing = self._cross(part, give_up_beyond=give_up_beyond, exact=exact)
            gone = NORMS[self._margins.norm].length(crossing.adversarial - part)
            why = why_not_crossed(self._network.model, crossing, self._margins.max_iterations)
            return [
                *(values.tolist() for values in (crossing.margin, crossing.crossing_class, crossing.iterations, gone)),
                why,
            ]

        columns = _joined(self._batches.apply(margins_of, images))
        for row, margin, other, iterations, gone, why in zip(rows, *columns, strict=True):
            crossed = math.isfinite(margin)
            row["outcome"] = CROSSED if crossed else SKIPPED if gone > give_up_beyond else UNCROSSED
            row["margin"] = _finite(margin)
            row["crossing_class"] = self._network.classes[other] if crossed else None
            row["iterations"] = iterations
            row["why"] = why

    def _twins(self, images: Tensor) -> tuple[npt.NDArray[np.float32], list[bool]]:
        adversarial = self._cross(images).adversarial
        twins, across = clearly_across(self._network.model, images, adversarial, clip=self._margins.clip)
        return twins.cpu().numpy(), across.tolist()


def _joined(parts: Sequence[Columns]) -> Columns:
    """The columns of the parts of a batch, one after the other."""
    return [list(itertools.chain.from_iterable(column)) for column in zip(*parts, strict=True)]


def _rows(images: Sequence[str], classes: tuple[str, ...], columns: Columns) -> list[Row]:
    """Rows of the scores table without margins; None is a null, and stands wherever there is no finite number."""
    return [
        {
            IMAGE: image,
            "predicted": classes[predicted] if math.isfinite(confidence) else None,
            "confidence": _finite(confidence),
            "probability_gap": _finite(gap),
            "entropy": _finite(entropy),
            "logit_gap": _finite(logit_gap),
            "outcome": SKIPPED if math.isfinite(logit_gap) else UNCROSSED,
            "why": None if math.isfinite(logit_gap) else NOT_FINITE,
            "margin": None,
            "crossing_class": None,
            "iterations": 0,
            TWIN: None,
        }
        for image, predicted, confidence, gap, entropy, logit_gap in zip(images, *columns, strict=True)
    ]


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
