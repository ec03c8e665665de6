"""The interface of a measure, and the computation of several measures on a batch."""

import contextlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from dfal_cli.system.device import FittingBatches

Values = npt.NDArray[np.float32]

Compute = Callable[[Tensor], Tensor]
"""Images (B, C, H, W), float in [0, 1] -> (B,), or (B, d) for a vector. An image's result is the same in any batch."""


class Settings(NamedTuple):
    """Settings of measures other than the network."""

    architecture: str
    """The network's name, for messages."""
    passes: int
    """Number of networks sampled by Monte Carlo dropout."""
    seed: int
    warn: Callable[[str], None]
    """Reports a warning to the user."""


class Measure(NamedTuple):
    """An entry of the table of measures."""

    prepare: Callable[[nn.Module, Settings], Compute]
    """Raises UsageError if the network is not suitable. The function that it returns leaves the model's mode,
    requires_grad and .grad unchanged; dropout and batch statistics are off while it runs."""
    help: str
    vector: bool = False


class MeasureRunner:
    """Computes several measures on batches of images."""

    def __init__(
        self, measures: dict[str, Measure], model: nn.Module, settings: Settings, batches: FittingBatches
    ) -> None:
        """Raises UsageError if the network is not suitable for a measure."""
        self._measures = measures
        self._compute = {name: measure.prepare(model, settings) for name, measure in measures.items()}
        self._batches = batches

    @property
    def names(self) -> list[str]:
        """The names of the measures."""
        return list(self._measures)

    def __call__(self, images: Tensor) -> dict[str, Values]:
        """Compute all measures of images (B, C, H, W), float, B > 0, in parts that fit into memory.

        Returns an array (B,), or (B, d) for a vector, for each measure.
        """
        return {
            name: np.concatenate([part.float().cpu().numpy() for part in self._batches.apply(compute, images)])
            for name, compute in self._compute.items()
        }

    def empty(self) -> dict[str, Values]:
        """Return the measures of no images: arrays (0,), or (0, 1) for a vector."""
        return {name: np.empty((0, 1) if measure.vector else 0, np.float32) for name, measure in self._measures.items()}


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put the model in eval mode in the block; afterwards each module is in its previous mode."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        yield
    finally:
        for module, training in modes:
            module.training = training
