"""Evaluates a network on labelled examples."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfal_cli.models import fast_pooling
from dfal_cli.system.device import first_batch_size
from dfal_cli.training.examples import DeviceExamples
from dfal_cli.training.head import Numbers, Targets
from dfal_cli.training.measured import Evaluation
from dfal_cli.training.team import SINGLE, Team

NO_OUTPUT = -100
"""Label of examples whose class the network has no output for; cross-entropy ignores it."""


def evaluate(
    model: nn.Module,
    examples: DeviceExamples,
    num_classes: int,
    on_batch: Callable[[int], None] = lambda count: None,
    team: Team = SINGLE,
) -> Evaluation:
    """Evaluate the model on all examples, twins included.

    num_classes: number of outputs of the model. on_batch: called with the size of each batch that this process has
    finished. team: the processes that call this together, each of which evaluates a part of the examples.
    """
    model.eval()
    rows = max(num_classes, examples.classes)
    loss = torch.zeros((), dtype=torch.float64, device=examples.device)
    counts = torch.zeros(rows * num_classes, dtype=torch.int64, device=examples.device)
    with torch.no_grad(), fast_pooling(model):
        for items in _batches(examples, team):
            images, labels = examples.batch(items)
            logits = model(images)
            known = labels.masked_fill(labels >= num_classes, NO_OUTPUT)
            loss += F.cross_entropy(logits, known, reduction="sum", ignore_index=NO_OUTPUT)
            pairs = labels * num_classes + logits.argmax(1)
            counts.scatter_add_(0, pairs, torch.ones_like(pairs))  # bincount would make the host wait for a GPU
            on_batch(len(items))
    loss, counts = team.sums(loss, counts)
    confusion = counts.reshape(rows, num_classes).cpu().numpy()
    known_examples = int(confusion[:num_classes].sum())
    return Evaluation(loss.item() / known_examples if known_examples else math.nan, confusion)


def logits_of(
    model: nn.Module,
    examples: DeviceExamples,
    num_classes: int,
    on_batch: Callable[[int], None] = lambda count: None,
    team: Team = SINGLE,
) -> tuple[Numbers, Targets] | None:
    """Return the logits of all examples, (n, K), and their classes, (n,); to the first process of the team only.

    Arguments as of `evaluate`.
    """
    model.eval()
    logits, targets = [np.empty((0, num_classes))], [np.empty(0, np.intp)]
    with torch.no_grad(), fast_pooling(model):
        for items in _batches(examples, team):
            images, labels = examples.batch(items)
            logits.append(model(images).double().cpu().numpy())
            targets.append(labels.cpu().numpy().astype(np.intp))
            on_batch(len(items))
    all_logits, all_targets = (team.gathered(np.concatenate(parts)) for parts in (logits, targets))
    return None if all_logits is None or all_targets is None else (all_logits, all_targets)


def _batches(examples: DeviceExamples, team: Team) -> Iterator[Tensor]:
    """Yield the indices of the examples that this process evaluates, in batches."""
    part = team.part_of(torch.arange(examples.number, device=examples.place))
    if len(part):
        yield from torch.split(part, first_batch_size(examples.device, examples.shape))
