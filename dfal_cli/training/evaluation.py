"""Evaluates a network on labelled examples."""

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from dfal_cli.models import fast_pooling
from dfal_cli.system.device import first_batch_size
from dfal_cli.training.examples import DeviceExamples
from dfal_cli.training.head import Numbers, Targets
from dfal_cli.training.measured import Evaluation

NO_OUTPUT = -100
"""Label of examples whose class the network has no output for; cross-entropy ignores it."""


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
    confusion = counts.reshape(rows, num_classes).cpu().numpy()
    known_examples = int(confusion[:num_classes].sum())
    return Evaluation(loss.item() / known_examples if known_examples else math.nan, confusion)


def logits_of(
    model: nn.Module, examples: DeviceExamples, on_batch: Callable[[int], None] = lambda count: None
) -> tuple[Numbers, Targets]:
    """Return the logits of all examples, (n, K), and their classes, (n,). Arguments as of `evaluate`."""
    model.eval()
    logits, targets = [], []
    with torch.no_grad(), fast_pooling(model):
        all_items = torch.arange(examples.number, device=examples.device)
        for items in torch.split(all_items, first_batch_size(examples.device, examples.shape)):
            images, labels = examples.batch(items)
            logits.append(model(images).double().cpu().numpy())
            targets.append(labels.cpu().numpy())
            on_batch(len(items))
    return np.concatenate(logits), np.concatenate(targets).astype(np.intp)
