"""Loss, accuracy and confusion matrix of a classifier on labelled examples."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfal_cli.models import fast_pooling
from dfal_cli.system.device import first_batch_size
from dfal_cli.training.examples import DeviceExamples

NO_OUTPUT = -100
"""Label of examples whose class the network has no output for; cross-entropy ignores it."""


class Evaluation(NamedTuple):
    """Results on one set of examples. K: outputs of the network; R >= K: classes among the labels."""

    loss: float
    """Mean cross-entropy of the examples whose class the network has an output for; nan if there are none."""
    confusion: Tensor
    """(R, K) int64 counts: true classes in rows, predicted classes in columns."""

    @property
    def examples(self) -> int:
        """Number of examples."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Share of the examples that are classified correctly."""
        return int(self.confusion.diagonal().sum()) / max(1, self.examples)

    @property
    def largest_share(self) -> float:
        """Share of the most frequent class: the best accuracy of a classifier that always predicts the same class."""
        counts = self.confusion.sum(1)[: self.confusion.shape[1]]
        return int(counts.max()) / max(1, self.examples)

    @property
    def class_accuracy(self) -> list[float | None]:
        """Accuracy on each of the R classes; None for a class without examples."""
        correct, counts = self.confusion.diagonal().tolist(), self.confusion.sum(1).tolist()
        correct += [0] * (len(counts) - len(correct))
        return [right / count if count else None for right, count in zip(correct, counts, strict=True)]


def evaluate(
    model: nn.Module, examples: DeviceExamples, num_classes: int, on_batch: Callable[[int], None] = lambda count: None
) -> Evaluation:
    """Evaluate the model on all examples, twins included.

    num_classes: number of outputs of the model. on_batch: called with the size of each finished batch.
    """
    model.eval()
    rows = max(num_classes, examples.classes)
    loss = torch.zeros((), dtype=torch.float64, device=examples.device)
    counts = torch.zeros(rows * num_classes, dtype=torch.int64, device=examples.device)
    with torch.no_grad(), fast_pooling(model):
        all_items = torch.arange(examples.number, device=examples.device)
        for items in torch.split(all_items, first_batch_size(examples.device, examples.shape)):
            images, labels = examples.batch(items)
            logits = model(images)
            known = labels.masked_fill(labels >= num_classes, NO_OUTPUT)
            loss += F.cross_entropy(logits, known, reduction="sum", ignore_index=NO_OUTPUT)
            counts += (labels * num_classes + logits.argmax(1)).bincount(minlength=rows * num_classes)
            on_batch(len(items))
    confusion = counts.reshape(rows, num_classes).cpu()
    known_examples = int(confusion[:num_classes].sum())
    return Evaluation(loss.item() / known_examples if known_examples else math.nan, confusion)
