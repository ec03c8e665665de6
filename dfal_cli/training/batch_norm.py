"""Batch normalisation over the slices of all ranks: torch's on GPUs, and the same on CPUs, where torch has none."""

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd import Function
from torch.nn.modules.batchnorm import _BatchNorm

from dfal_cli.errors import UsageError

KNOWN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def synchronise_batch_norm(model: nn.Module, device: torch.device, group: Any) -> None:
    """Replace the batch normalisation of a model by layers with the same tensors that know the whole batch.

    group: process group of the ranks. Raises UsageError if a layer is a kind of batch normalisation of its own.
    """
    for name, layer in list(model.named_modules()):
        if not isinstance(layer, _BatchNorm):
            continue
        if type(layer) not in KNOWN:
            raise UsageError(f"--sync-batch-norm: {name} is a {type(layer).__name__}, which cannot be synchronised")
        if device.type == "cuda":
            new = nn.SyncBatchNorm.convert_sync_batchnorm(layer, group)  # type: ignore[no-untyped-call]
        else:
            new = BatchNormOfRanks(layer, group)
        parent, _, own = name.rpartition(".")
        setattr(model.get_submodule(parent), own, new)


class BatchNormOfRanks(_BatchNorm):
    """What SyncBatchNorm is on GPUs, on CPUs (Ioffe and Szegedy, arXiv:1502.03167, algorithm 1)."""

    def __init__(self, layer: _BatchNorm, group: Any) -> None:
        """Take over the settings and tensors of a layer."""
        super().__init__(layer.num_features, layer.eps, layer.momentum, layer.affine, layer.track_running_stats)
        self._parameters, self._buffers = layer._parameters, layer._buffers
        self._group = group

    def _check_input_dim(self, values: Tensor) -> None:
        """Accept (B, C, ...)."""

    def forward(self, values: Tensor) -> Tensor:
        """Normalise (B, C, ...) by mean and variance of each channel over the slices of all ranks."""
        if not self.training:
            return super().forward(values)
        others = [axis for axis in range(values.dim()) if axis != 1]
        count = self._sum(values.new_full((1,), values.numel() / values.shape[1]))
        mean = self._sum(values.sum(others)) / count  # (C,)
        shape = [1, -1] + [1] * (values.dim() - 2)
        centred = values - mean.reshape(shape)
        variance = self._sum(centred.square().sum(others)) / count  # (C,)
        self._remember(mean.detach(), variance.detach() * count / (count - 1))
        normalised = centred * (variance + self.eps).rsqrt().reshape(shape)
        if not self.affine:
            return normalised
        return torch.addcmul(self.bias.reshape(shape), normalised, self.weight.reshape(shape))

    def _sum(self, values: Tensor) -> Tensor:
        total: Tensor = _Sum.apply(values, self._group)
        return total

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Update the statistics that evaluation uses."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


class _Sum(Function):
    """The sum over all ranks. Its gradient is the sum of their gradients."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, group: Any) -> Tensor:
        ctx.group = group
        return _sum_of_ranks(values, group)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _sum_of_ranks(gradient, ctx.group), None


def _sum_of_ranks(values: Tensor, group: Any) -> Tensor:
    total = values.clone()
    distributed.all_reduce(total, group=group)
    return total
