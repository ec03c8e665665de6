"""Classifies images batch by batch, and resumes from the parts of an unfinished call."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from dfal_cli.checkpoint import LoadedNetwork
from dfal_cli.images import DecodedBatch, are_flat
from dfal_cli.scoring.predicted import PREDICTION, Logits, Predictions, predictions_of
from dfal_cli.scoring.reading import Compute, Reading, go_through, reading_arrays
from dfal_cli.scoring.rows import ROWS_PER_TABLE
from dfal_cli.scoring.scored import rechunked
from dfal_cli.scoring.scorer import Stream
from dfal_cli.system.crew import Task, with_results
from dfal_cli.system.device import FittingBatches, on_device
from dfal_cli.system.part_files import Arrays
from dfal_cli.system.parts import Section
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables.vectors import Values

ROWS, PROBABILITIES = "rows", "probabilities"
"""Names of the arrays of a part."""


class Classifier:
    """A network that classifies images from a stream."""

    def __init__(self, network: LoadedNetwork, stream: Stream, batches: FittingBatches) -> None:
        self._network = network
        self._stream = stream
        self._batches = batches

    def batches_of(self, images: Iterable[Sequence[str]]) -> Iterator[tuple[DecodedBatch, Logits]]:
        """Yield batches of images, with the logits of the readable ones, (B, K)."""
        for decoded in self._stream(images):
            floats = on_device(torch.from_numpy(decoded.pixels), self._network.device).float() / 255
            logits = [np.empty((0, len(self._network.classes))), *self._batches.apply(self._logits, floats)]
            yield decoded, np.concatenate(logits)

    def predict(
        self, tasks: Iterable[Task], *, temperature: float, with_probabilities: bool
    ) -> Iterator[tuple[Task, Arrays]]:
        """Yield the predictions of tasks, as the arrays of a part; with the probabilities of all classes, if wanted."""
        for task, (decoded, logits) in with_results(tasks, self.batches_of):
            found, probabilities = predictions_of(logits, temperature)
            reading = reading_arrays(task, decoded.unreadable, decoded.max_values, are_flat(decoded.pixels))
            yield task, {ROWS: found, **({PROBABILITIES: probabilities} if with_probabilities else {}), **reading}

    def _logits(self, images: Tensor) -> Logits:
        with torch.no_grad():
            logits: Logits = self._network.model(images).double().cpu().numpy()
        return logits


def predict_all(
    images: Sequence[str], size: int, section: Section, compute: Compute, classes: Sequence[str], reporter: Reporter
) -> tuple[Predictions, Reading]:
    """Predict the images that no part covers yet; return all predictions, and what was read.

    size: of a task. compute: yields the arrays of a part for tasks.
    """
    reading, rows = Reading(images), np.zeros(len(images), PREDICTION)

    def take(start: int, end: int, found: Arrays) -> None:
        rows[reading.take(start, end, found)] = found[ROWS]

    with reporter.progress("predicting", len(images), "images", section.finished) as progress:
        go_through(images, size, section, compute, take, progress)
    return Predictions(reading.images, reading.of_readable(rows), classes), reading


def probabilities_in(section: Section, classes: Sequence[str]) -> Callable[[], Iterator[Values]]:
    """Return a function that yields the probabilities in a section in pieces of ROWS_PER_TABLE rows."""

    def pieces() -> Iterator[Values]:
        blocks = ({PROBABILITIES: block[PROBABILITIES]} for block in section.blocks())
        for block in rechunked(blocks, ROWS_PER_TABLE):
            yield block.get(PROBABILITIES, np.empty((0, len(classes)), np.float32))

    return pieces
