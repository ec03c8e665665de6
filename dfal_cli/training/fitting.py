"""The training loop: Adam on cross-entropy, early stopping, and the best epoch's weights."""

import contextlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfal_cli.errors import UsageError
from dfal_cli.models import seeded
from dfal_cli.system.device import on_device, tf32
from dfal_cli.training.augment import augmented
from dfal_cli.training.evaluation import evaluate
from dfal_cli.training.examples import DeviceExamples, Examples
from dfal_cli.training.run import Epoch, Snapshot, TrainingRun
from dfal_cli.training.team import SINGLE, Team


class Diverged(Exception):  # noqa: N818 - an outcome that callers handle, not a fault
    """The loss, the weights or the logits are not finite."""


def fit(
    run: TrainingRun,
    training: Examples,
    validation: Examples | None,
    seed: int,
    on_epoch: Callable[[Epoch], None],
    snapshot: Snapshot | None = None,
    on_step: Callable[[float], None] = lambda share: None,
    team: Team = SINGLE,
) -> list[Epoch]:
    """Train on cross-entropy until `patience` epochs pass without improvement; return all epochs.

    The model ends in eval mode with the weights of the best epoch.
    snapshot: state of an interrupted run; the result is that of an uninterrupted one.
    on_epoch: called after each epoch. on_step: called after each batch with the finished share of the epoch.
    team: the processes that call this together, all with the same arguments.
    Raises Diverged if no epoch has a finite loss, or if the best weights or their logits are not finite.
    """
    train_on, check_on = training.on_device(run.device), validation and validation.on_device(run.device)
    with tf32(allowed=True), seeded(seed, run.device):  # layers such as dropout draw from the global generators
        if snapshot is not None:
            run.restore(snapshot)
        joined = team.joined(run.model)
        while not run.is_over:
            run.set_learning_rates()
            with _own_draws(seed, len(run.history), team, run.device):
                run.add(_epoch(run, joined, train_on, check_on, on_step, team))
            on_epoch(run.history[-1])
    best = run.best_weights
    if not best or not all(value.isfinite().all() for value in best.values()):
        raise Diverged
    run.model.load_state_dict(best)
    run.model.eval()
    with torch.no_grad(), seeded(seed, run.device):  # no loss has been computed since the epoch's last step
        first, _ = train_on.batch(torch.arange(min(run.settings.batch_size, train_on.number), device=train_on.place))
        if not run.model(first).isfinite().all():
            raise Diverged
    return run.history


class _Slice(NamedTuple):
    """What one process computes of a batch."""

    items: Tensor
    """(b,) indices, where the examples are."""
    seeds: list[int]
    """Of the augmentation of each item, the same in whichever process."""
    weight: float
    """Number of examples of the batch that it stands for."""
    batch_size: int
    """Number of examples of the batch."""


def _epoch(
    run: TrainingRun,
    joined: nn.Module,
    training: DeviceExamples,
    validation: DeviceExamples | None,
    on_step: Callable[[float], None],
    team: Team,
) -> Epoch:
    """Train and evaluate for one epoch. joined: the model as of `Team.joined`."""
    model, settings, optimiser, device = run.model, run.settings, run.optimiser, run.device
    mixed = settings.mixed_precision and device.type == "cuda" and torch.cuda.is_bf16_supported()
    examples, done = training.number + (validation.number / team.of if validation else 0), 0

    def on_batch(count: int) -> None:
        nonlocal done
        done += count
        on_step(min(1.0, done / examples))

    joined.train()
    loss_sum = torch.zeros((), dtype=torch.float64, device=device)  # on the device: reading it each step would wait
    right = torch.zeros((), dtype=torch.float64, device=device)
    for items, seeds, weight, batch_size in _slices(training, run, team):
        images, labels = training.batch(items)
        images = augmented(images, settings.augment, seeds)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=mixed):
            logits = joined(images)
        loss = F.cross_entropy(logits.float(), labels)
        optimiser.zero_grad(set_to_none=True)
        if not loss.requires_grad:
            raise UsageError(
                "the network cannot be trained: its logits do not depend on any trainable weight "
                "(is something detached or under no_grad, or are all weights frozen?)"
            )
        _weighted(loss, team.of * weight / batch_size).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        loss_sum += loss.detach() * weight
        right += (logits.argmax(1) == labels).sum().double() * (weight / len(items))
        on_batch(batch_size)
    team.equalise(model.buffers())
    mean_loss, accuracy = (torch.stack(team.sums(loss_sum, right)) / training.number).tolist()
    evaluation = None if validation is None else evaluate(model, validation, logits.shape[1], on_batch, team)
    return Epoch(
        len(run.history) + 1,
        mean_loss,
        accuracy,
        None if evaluation is None else evaluation.loss,
        None if evaluation is None else evaluation.accuracy,
    )


def _slices(training: DeviceExamples, run: TrainingRun, team: Team) -> Iterator[_Slice]:
    """Yield this process's slices of the batches of an epoch: all examples in random order."""
    count = training.number
    order = on_device(torch.randperm(count, generator=run.generator), training.place)
    seeds = torch.zeros(count, dtype=torch.int64)
    if run.settings.augment != "none":
        seeds = torch.randint(2**62, (count,), generator=run.generator)
    size = run.settings.batch_size
    for batch, batch_seeds in zip(torch.split(order, size), torch.split(seeds, size), strict=True):
        weight = team.weight_of_slice(len(batch))
        yield _Slice(team.slice_of(batch), team.slice_of(batch_seeds).tolist(), weight, len(batch))


def _weighted(loss: Tensor, weight: float) -> Tensor:
    """Return the loss times its weight in the mean over all processes; most often 1."""
    return loss if weight == 1 else loss * weight


def _own_draws(
    seed: int, epoch: int, team: Team, device: torch.device
) -> contextlib.AbstractContextManager[None]:  # fmt: skip
    """Let processes other than the first draw numbers of their own in an epoch, of which no state needs to be kept."""
    if team.number == 0:
        return contextlib.nullcontext()
    own = np.random.SeedSequence([seed, epoch, team.number])
    return seeded(int(own.generate_state(1, np.uint64)[0]), device)
