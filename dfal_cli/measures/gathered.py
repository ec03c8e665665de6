"""Measures of a whole pool, from a stream of batches."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from dfal_cli.device import FittingBatches
from dfal_cli.measures.measure import Measure, Settings

Block = npt.NDArray[np.float32]


class Gathered:
    """The measures of every image added, in order. As arrays: Python's own numbers take eight times the room."""

    def __init__(
        self, measures: dict[str, Measure], model: nn.Module, settings: Settings, batches: FittingBatches
    ) -> None:
        """Raises UsageError if the network has not what a measure takes."""
        self._measures = measures
        self._compute = {name: measure.prepare(model, settings) for name, measure in measures.items()}
        self._blocks: dict[str, list[Block]] = {name: [] for name in measures}
        self._batches = batches

    def add(self, images: Tensor) -> None:
        """Measure a batch, (B, C, H, W) float, in parts that fit into memory."""
        for name, compute in self._compute.items():
            parts: Iterable[Tensor] = self._batches.apply(compute, images)
            self._blocks[name] += [part.float().cpu().numpy() for part in parts]

    def columns(self) -> dict[str, Block]:
        """(n,) of each measure, (n, d) of a vector."""
        return {
            name: np.concatenate(blocks)
            if blocks
            else np.empty((0, 1) if self._measures[name].vector else 0, np.float32)
            for name, blocks in self._blocks.items()
        }
