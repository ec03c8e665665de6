"""Classifies images batch by batch, and resumes from the parts of an unfinished call."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from dfal_cli.checkpoint import LoadedNetwork
from dfal_cli.images import DecodedBatch, are_flat
from dfal_cli.scoring.predicted import PREDICTION, Logits, Predictions, predictions_of
from dfal_cli.scoring.reading import Reading, go_through, reading_arrays
from dfal_cli.scoring.rows import ROWS_PER_TABLE
from dfal_cli.scoring.scored import rechunked
from dfal_cli.scoring.scorer import Stream
from dfal_cli.system.device import FittingBatches, on_device
from dfal_cli.system.part_files import Arrays
from dfal_cli.system.parts import Section
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables.vectors import Values

ROWS, PROBABILITIES = "rows", "probabilities"
"""Names of the arrays of a part."""


class Classifier:
    """A network that classifies images from a stream."""

    def __init__(self, network: LoadedNetwork, stream: Stream, batches: FittingBatches, reporter: Reporter) -> None:
        self.classes = network.classes
        self._network = network
        self._stream = stream
        self._batches = batches
        self._reporter = reporter

    def batches_of(self, images: Sequence[str]) -> Iterator[tuple[DecodedBatch, Logits]]:
        """Yield the images in batches, with the logits of the readable ones, (B, K)."""
        for decoded in self._stream(images):
            floats = on_device(torch.from_numpy(decoded.pixels), self._network.device).float() / 255
            logits = [np.empty((0, len(self.classes))), *self._batches.apply(self._logits, floats)]
            yield decoded, np.concatenate(logits)

    def predict(
        self, images: Sequence[str], section: Section, temperature: float, *, with_probabilities: bool
    ) -> tuple[Predictions, Reading]:
        """Predict the images that no part covers yet; return all predictions, and what was read.

        with_probabilities: whether the section shall hold the probabilities of all classes.
        """
        reading, rows = Reading(images), np.zeros(len(images), PREDICTION)

        def compute(start: int, end: int) -> Iterator[tuple[int, Arrays]]:
            at = start
            for decoded, logits in self.batches_of(images[start:end]):
                requested = len(decoded.images) + len(decoded.unreadable)
                found, probabilities = predictions_of(logits, temperature)
                yield (
                    requested,
                    {
                        ROWS: found,
                        **({PROBABILITIES: probabilities} if with_probabilities else {}),
                        **reading_arrays(
                            images, at, requested, decoded.unreadable, decoded.max_values, are_flat(decoded.pixels)
                        ),
                    },
                )
                at += requested

        def take(start: int, end: int, found: Arrays) -> None:
            rows[reading.take(start, end, found)] = found[ROWS]

        with self._reporter.progress("predicting", len(images), "images", section.finished) as progress:
            go_through(len(images), section, compute, take, progress)
        return Predictions(reading.images, reading.of_readable(rows), self.classes), reading

    def _logits(self, images: Tensor) -> Logits:
        with torch.no_grad():
            logits: Logits = self._network.model(images).double().cpu().numpy()
        return logits


def probabilities_in(section: Section, classes: Sequence[str]) -> Callable[[], Iterator[Values]]:
    """Return a function that yields the probabilities in a section in pieces of ROWS_PER_TABLE rows."""

    def pieces() -> Iterator[Values]:
        blocks = ({PROBABILITIES: block[PROBABILITIES]} for block in section.blocks())
        for block in rechunked(blocks, ROWS_PER_TABLE):
            yield block.get(PROBABILITIES, np.empty((0, len(classes)), np.float32))

    return pieces
