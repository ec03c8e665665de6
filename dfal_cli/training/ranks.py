"""A team of ranks: torch's DistributedDataParallel, by NCCL between GPUs and by gloo between processors."""

import warnings
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, distributed, nn
from torch.distributed import ProcessGroup

from dfal_cli.errors import UsageError
from dfal_cli.training.batch_norm import synchronise_batch_norm
from dfal_cli.training.team import Team, Value

TIMEOUT = timedelta(days=7)
"""Other ranks wait while rank 0 writes files or fits a head. One that has died is noticed without a timeout."""


class TeamOfRanks(Team):
    """The team of all processes of the default process group; `gloo` must be its backend."""

    def __init__(self, device: torch.device, *, sync_batch_norm: bool) -> None:
        """sync_batch_norm: compute the statistics of batch normalisation of whole batches, instead of slices.

        Raises UsageError if only some of the ranks have a GPU.
        """
        super().__init__(distributed.get_rank(), distributed.get_world_size(), 1 if sync_batch_norm else 2)
        kinds: list[Any] = [None] * self.of
        distributed.all_gather_object(kinds, device.type)
        if len(set(kinds)) > 1:
            raise UsageError("some ranks have a GPU and others have none; use --device cpu")
        self._device = device
        self._sync_batch_norm = sync_batch_norm
        backend = "nccl" if device.type == "cuda" else "gloo"
        self._words, self._gradients = (
            cast(ProcessGroup, distributed.new_group(backend=name, timeout=TIMEOUT)) for name in ("gloo", backend)
        )

    def prepared(self, model: nn.Module) -> None:
        """Synchronise batch normalisation, if it is to be. Raises UsageError if a layer cannot be."""
        if self._sync_batch_norm:
            synchronise_batch_norm(model, self._device, self._gradients)

    def joined(self, model: nn.Module) -> nn.Module:
        """Return the model as DistributedDataParallel, with the weights of rank 0."""
        if not any(weight.requires_grad for weight in model.parameters()):
            return model  # the training refuses it
        distributed.barrier(self._words)  # NCCL would not wait for long
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # broadcast_buffers has another name in newer versions
            return nn.parallel.DistributedDataParallel(
                model, process_group=self._gradients, broadcast_buffers=False, find_unused_parameters=True,
                gradient_as_bucket_view=True,
            )  # fmt: skip

    def equalise(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite the tensors by those of rank 0."""
        for tensor in tensors:
            distributed.broadcast(tensor, 0, self._gradients)

    def sums(self, *values: Tensor) -> tuple[Tensor, ...]:
        """Return the sums of each value over all ranks, on the CPU."""
        sums = tuple(value.cpu() for value in values)
        for value in sums:
            distributed.all_reduce(value, group=self._words)
        return sums

    def gathered(self, values: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
        """Return the arrays of all ranks in their order, as one array, to rank 0."""
        arrays: list[Any] | None = None if self.number else [None] * self.of
        distributed.gather_object(values, arrays, 0, self._words)
        return None if arrays is None else np.concatenate(arrays)

    def told(self, value: Value) -> Value:
        """Return the value of rank 0."""
        values = [value]
        distributed.broadcast_object_list(values, 0, self._words)
        return values[0]
