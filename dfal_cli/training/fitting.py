"""The training loop: Adam on cross-entropy, early stopping, and the best epoch's weights."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from dfal_cli.errors import UsageError
from dfal_cli.models import seeded
from dfal_cli.system.device import tf32
from dfal_cli.training.augment import augmented
from dfal_cli.training.evaluation import evaluate
from dfal_cli.training.examples import DeviceExamples, Examples
from dfal_cli.training.run import Epoch, Snapshot, TrainingRun


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
) -> list[Epoch]:
    """Train on cross-entropy until `patience` epochs pass without improvement; return all epochs.

    The model ends in eval mode with the weights of the best epoch.
    snapshot: state of an interrupted run; the result is that of an uninterrupted one.
    on_epoch: called after each epoch. on_step: called after each batch with the finished share of the epoch.
    Raises Diverged if no epoch has a finite loss, or if the best weights or their logits are not finite.
    """
    train_on, check_on = training.on_device(run.device), validation and validation.on_device(run.device)
    with tf32(allowed=True), seeded(seed, run.device):  # dropout and augmentation draw from the global generators
        if snapshot is not None:
            run.restore(snapshot)
        while not run.is_over:
            run.set_learning_rates()
            run.add(_epoch(run, train_on, check_on, on_step))
            on_epoch(run.history[-1])
    best = run.best_weights
    if not best or not all(value.isfinite().all() for value in best.values()):
        raise Diverged
    run.model.load_state_dict(best)
    run.model.eval()
    with torch.no_grad(), seeded(seed, run.device):  # no loss has been computed since the epoch's last step
        first, _ = train_on.batch(torch.arange(min(run.settings.batch_size, train_on.number), device=run.device))
        if not run.model(first).isfinite().all():
            raise Diverged
    return run.history


def _epoch(
    run: TrainingRun, training: DeviceExamples, validation: DeviceExamples | None, on_step: Callable[[float], None]
) -> Epoch:
    model, settings, optimiser, device = run.model, run.settings, run.optimiser, run.device
    mixed = settings.mixed_precision and device.type == "cuda" and torch.cuda.is_bf16_supported()
    examples, done = training.number + (validation.number if validation else 0), 0

    def on_batch(count: int) -> None:
        nonlocal done
        done += count
        on_step(min(1.0, done / examples))

    model.train()
    loss_sum = torch.zeros((), dtype=torch.float64, device=device)  # on the device: reading it each step would wait
    right, seen = torch.zeros((), dtype=torch.int64, device=device), 0
    for items in _shuffled(training.number, settings.batch_size, run.generator, device):
        images, labels = training.batch(items)
        images = augmented(images, settings.augment)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=mixed):
            logits = model(images)
        loss = F.cross_entropy(logits.float(), labels)
        optimiser.zero_grad(set_to_none=True)
        if not loss.requires_grad:
            raise UsageError(
                "the network cannot be trained: its logits do not depend on any trainable weight "
                "(is something detached or under no_grad, or are all weights frozen?)"
            )
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        loss_sum += loss.detach() * len(items)
        right += (logits.argmax(1) == labels).sum()
        seen += len(items)
        on_batch(len(items))
    evaluation = None if validation is None else evaluate(model, validation, logits.shape[1], on_batch)
    return Epoch(
        len(run.history) + 1,
        loss_sum.item() / seen,
        right.item() / seen,
        None if evaluation is None else evaluation.loss,
        None if evaluation is None else evaluation.accuracy,
    )


def _shuffled(count: int, batch_size: int, generator: torch.Generator, device: torch.device) -> Iterator[Tensor]:
    """Yield all items in random order, in batches. A batch of one is doubled: batch normalisation needs two."""
    for items in torch.split(torch.randperm(count, generator=generator).to(device), batch_size):
        yield items if len(items) > 1 else items.repeat(2)
