"""From a stream of images to rows of measures, and to twins."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dfal_cli.checkpoint import LoadedNetwork
from dfal_cli.console import Reporter
from dfal_cli.device import FittingBatches
from dfal_cli.images import Decoded
from dfal_cli.images.decode import Pixels
from dfal_cli.margins import ESTIMATORS, Crossing
from dfal_cli.margins.across import clearly_across
from dfal_cli.measures import probabilities
from dfal_cli.schemas import CROSSED, IMAGE, TWIN, UNCROSSED

Stream = Callable[[Sequence[str]], Iterator[Decoded]]
"""Reads the named images, in order, as decoded batches."""


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
        self._reporter = reporter

    def rows_of(self, images: Sequence[str]) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
        """Score the images in a stream: rows of the scores table in their order, and (image, reason) of the rest."""
        rows: list[dict[str, Any]] = []
        unreadable: list[tuple[str, str]] = []
        with self._reporter.progress("scoring", len(images), "images") as advance:
            for decoded in self._stream(images):
                unreadable += decoded.unreadable
                names = iter(decoded.images)
                for columns in self._batches.apply(self._measure, self._floats(decoded.pixels)):
                    rows += _rows(names, self._network.classes, columns)
                advance(len(decoded.images) + len(decoded.unreadable))
        return rows, unreadable

    def twins_of(self, images: Sequence[str]) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """Yield each image with its twin, (C, H, W), less those that do not lie clearly across the boundary.

        They are computed again, rather than held in memory while a pool streams by.
        """
        with self._reporter.progress("twins", len(images), "images") as advance:
            for decoded in self._stream(images):
                names = iter(decoded.images)
                for twins, across in self._batches.apply(self._twins, self._floats(decoded.pixels)):
                    # names come last: they go on to the next part of the batch
                    yield from ((name, twin) for twin, is_across, name in zip(twins, across, names) if is_across)  # noqa: B905
                advance(len(decoded.images))

    def _floats(self, pixels: Pixels) -> Tensor:
        return torch.from_numpy(pixels).to(self._network.device).float() / 255

    def _cross(self, images: Tensor) -> Crossing:
        estimator, *_ = self._margins
        settings = self._margins._asdict()
        del settings["estimator"]
        return ESTIMATORS[estimator](self._network.model, images, **settings)

    def _measure(self, images: Tensor) -> list[list[Any]]:
        """The probability measures, then margin, crossing class and iterations, each as a list over the images."""
        with torch.no_grad():
            measured = probabilities(self._network.model(images))
        crossing = self._cross(images)
        values = (*measured, crossing.margin, crossing.crossing_class, crossing.iterations)
        return [column.tolist() for column in values]

    def _twins(self, images: Tensor) -> tuple[npt.NDArray[np.float32], list[bool]]:
        adversarial = self._cross(images).adversarial
        twins, across = clearly_across(self._network.model, images, adversarial, clip=self._margins.clip)
        return twins.cpu().numpy(), across.tolist()


def _rows(names: Iterator[str], classes: tuple[str, ...], columns: list[list[Any]]) -> list[dict[str, Any]]:
    """Rows of the scores table; None is a null, and stands wherever there is no finite number."""
    return [
        {
            IMAGE: next(names),
            "predicted": classes[predicted] if math.isfinite(confidence) else None,
            "confidence": _finite(confidence),
            "probability_gap": _finite(gap),
            "entropy": _finite(entropy),
            "outcome": CROSSED if math.isfinite(margin) else UNCROSSED,
            "margin": _finite(margin),
            "crossing_class": classes[other] if math.isfinite(margin) else None,
            "iterations": iterations,
            TWIN: None,
        }
        for predicted, confidence, gap, entropy, margin, other, iterations in zip(*columns, strict=True)
    ]


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
