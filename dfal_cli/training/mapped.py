"""The examples of a training in one file, which all processes of a machine map: they are decoded and kept once."""

from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dfal_cli.training.examples import Examples
from dfal_cli.training.loading import TrainingData


class Placed(NamedTuple):
    """An array in the file."""

    start: int
    """Its first byte."""
    shape: tuple[int, ...]
    dtype: str


class PlacedExamples(NamedTuple):
    """Examples whose pixels are in the file. It can be pickled, like `PlacedData`."""

    images: Placed
    labels: npt.NDArray[np.int64]
    twins: Placed
    twin_of: npt.NDArray[np.int64]


class PlacedData(NamedTuple):
    """The examples of a training whose pixels are in the file."""

    file: Path
    sets: dict[str, PlacedExamples | None]
    """By the names of the fields of TrainingData."""
    twins: int


SETS = ("labelled", "training", "validation", "test")


def place(data: TrainingData, file: Path) -> PlacedData:
    """Write the pixels of all examples to a file. Raises OSError."""
    placed: dict[int, PlacedExamples] = {}  # by identity, as the training examples are most often the labelled ones
    with file.open("wb") as writing:
        for name in SETS:
            examples = getattr(data, name)
            if examples is not None and id(examples) not in placed:
                placed[id(examples)] = PlacedExamples(
                    _write(examples.images, writing), examples.labels.numpy(),
                    _write(examples.twins, writing), examples.twin_of.numpy(),
                )  # fmt: skip
    return PlacedData(file, {name: placed.get(id(getattr(data, name))) for name in SETS}, data.twins)


def mapped(data: PlacedData) -> TrainingData:
    """Return the examples in the file, which are read from it when they are used. Raises OSError."""

    def examples(placed: PlacedExamples | None) -> Any:
        if placed is None:
            return None
        images, twins = (_map(data.file, array) for array in (placed.images, placed.twins))
        return Examples(images, torch.from_numpy(placed.labels), twins, torch.from_numpy(placed.twin_of))

    return TrainingData(**{name: examples(placed) for name, placed in data.sets.items()}, twins=data.twins)


def _write(values: Tensor, file: BinaryIO) -> Placed:
    array = values.contiguous().numpy()
    file.write(bytes(-file.tell() % array.itemsize))
    placed = Placed(file.tell(), array.shape, array.dtype.str)
    file.write(array.reshape(-1).view(np.uint8).data)
    return placed


def _map(file: Path, array: Placed) -> Tensor:
    if 0 in array.shape:
        return torch.from_numpy(np.empty(array.shape, array.dtype))
    # Pages are shared as long as nobody writes; torch wants memory that may be written.
    return torch.from_numpy(np.memmap(file, array.dtype, "c", array.start, array.shape))
