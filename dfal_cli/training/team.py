"""The processes that train one network: a single one, or the ranks of `ranks.py`, which share out every batch.

All draw the same batches and take one step together, so their number changes nothing but the rounding, and what is
computed of each slice by itself: dropout masks, and batch statistics unless these are synchronised.
"""

from collections.abc import Iterable
from typing import Any, TypeVar

import numpy.typing as npt
from torch import Tensor, nn

Value = TypeVar("Value")


class Team:
    """The processes that train one network, as one of them sees it; this one is alone."""

    def __init__(self, number: int = 0, of: int = 1, smallest_slice: int = 2) -> None:
        """number: of this process, from 0 to of - 1. smallest_slice: 2, as batch normalisation needs, or 1."""
        self.number = number
        self.of = of
        self._smallest_slice = smallest_slice

    def slice_of(self, batch: Tensor) -> Tensor:
        """Return the slice of a batch, (B, ...), that this process computes: (b, ...).

        If there are more processes than examples, each computes the whole batch. If a slice would be too small, the
        examples of all slices are doubled.
        """
        part = batch if len(batch) < self.of else batch.tensor_split(self.of)[self.number]
        return part if len(batch) >= self._smallest_slice * self.of else part.repeat(2)

    def weight_of_slice(self, count: int) -> float:
        """Return how many of the `count` examples of a batch this process's slice stands for; the sum is `count`."""
        if count < self.of:
            return count / self.of
        return count // self.of + (self.number < count % self.of)

    def part_of(self, items: Tensor) -> Tensor:
        """Return the items, (n,), that this process evaluates: each item belongs to one process."""
        return items.tensor_split(self.of)[self.number]

    def prepared(self, model: nn.Module) -> None:
        """Change the layers of a network that compute with other processes."""

    def joined(self, model: nn.Module) -> nn.Module:
        """Return the model to compute losses with: its gradients become the mean over all processes."""
        return model

    def equalise(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite the tensors by those of the first process, such as means of batches, which differ."""

    def sums(self, *values: Tensor) -> tuple[Tensor, ...]:
        """Return the sums of each value over all processes."""
        return values

    def gathered(self, values: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
        """Return the arrays, (n, ...), of all processes in their order, as one array; to the first process only."""
        return values

    def told(self, value: Value) -> Value:
        """Return the value of the first process."""
        return value


SINGLE = Team()
