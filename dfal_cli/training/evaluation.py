"""How a classifier does on labelled examples."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfal_cli.models import fast_pooling
from dfal_cli.system.device import first_batch_size
from dfal_cli.training.examples import Ready

NO_OUTPUT = -100
"""In the place of a class that the network has no output for: cross-entropy leaves it out."""


class Evaluation(NamedTuple):
    """What it comes to."""

    loss: float
    """Mean cross-entropy of the examples whose class the network has an output for; nan if there are none."""
    confusion: Tensor
    """(R, K) int64: rows are the true classes, columns the predicted ones; rows beyond K have no output."""

    @property
    def examples(self) -> int:
        """How many."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Share of the examples classified rightly."""
        return int(self.confusion.diagonal().sum()) / max(1, self.examples)

    @property
    def largest_share(self) -> float:
        """Of the class that most of the examples have: what always naming the same class is right on, at best."""
        named = self.confusion.sum(1)[: self.confusion.shape[1]]
        return int(named.max()) / max(1, self.examples)

    @property
    def class_accuracy(self) -> list[float | None]:
        """The accuracy on each row's class; None for a class without examples."""
        rights, counts = self.confusion.diagonal().tolist(), self.confusion.sum(1).tolist()
        rights += [0] * (len(counts) - len(rights))
        return [right / count if count else None for right, count in zip(rights, counts, strict=True)]


def evaluate(
    model: nn.Module, examples: Ready, num_classes: int, on_batch: Callable[[int], None] = lambda count: None
) -> Evaluation:
    """Mean cross-entropy and confusion table of a model over examples, twins included.

    num_classes: its outputs; on_batch: is told how many examples each batch had.
    """
    model.eval()
    rows = max(num_classes, examples.classes)
    loss = torch.zeros((), dtype=torch.float64, device=examples.device)
    counts = torch.zeros(rows * num_classes, dtype=torch.int64, device=examples.device)
    with torch.no_grad(), fast_pooling(model):
        everything = torch.arange(examples.number, device=examples.device)
        for items in torch.split(everything, first_batch_size(examples.device, examples.shape)):
            images, labels = examples.batch(items)
            logits = model(images)
            known = labels.masked_fill(labels >= num_classes, NO_OUTPUT)
            loss += F.cross_entropy(logits, known, reduction="sum", ignore_index=NO_OUTPUT)
            counts += (labels * num_classes + logits.argmax(1)).bincount(minlength=rows * num_classes)
            on_batch(len(items))
    confusion = counts.reshape(rows, num_classes).cpu()
    known_examples = int(confusion[:num_classes].sum())
    return Evaluation(loss.item() / known_examples if known_examples else math.nan, confusion)
