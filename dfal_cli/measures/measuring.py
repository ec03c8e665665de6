"""Several measures of one batch after the other."""

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from dfal_cli.measures.measure import Measure, Settings
from dfal_cli.system.device import FittingBatches

Values = npt.NDArray[np.float32]


class Measuring:
    """Measures that are ready for images."""

    def __init__(
        self, measures: dict[str, Measure], model: nn.Module, settings: Settings, batches: FittingBatches
    ) -> None:
        """Raises UsageError if the network has not what a measure takes."""
        self._measures = measures
        self._compute = {name: measure.prepare(model, settings) for name, measure in measures.items()}
        self._batches = batches

    @property
    def names(self) -> list[str]:
        """What they are called."""
        return list(self._measures)

    def __call__(self, images: Tensor) -> dict[str, Values]:
        """Measure a batch, (B, C, H, W) float with B > 0, in parts that fit into memory: (B,) each, (B, d) a vector."""
        return {
            name: np.concatenate([part.float().cpu().numpy() for part in self._batches.apply(compute, images)])
            for name, compute in self._compute.items()
        }

    def of_nothing(self) -> dict[str, Values]:
        """What it says of no images."""
        return {name: np.empty((0, 1) if measure.vector else 0, np.float32) for name, measure in self._measures.items()}
