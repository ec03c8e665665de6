"""Metrics of a trained network, ready for JSON."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from dfal_cli.statistics.intervals import wilson_interval
from dfal_cli.system.reporting import Reporter
from dfal_cli.training.evaluation import Evaluation, evaluate
from dfal_cli.training.examples import Examples
from dfal_cli.training.learnt import evidence_in
from dfal_cli.training.run import Epoch

MOST_CONFUSED = 5
"""Maximum number of class pairs listed as the most frequent mistakes."""


def metrics_of(
    model: nn.Module,
    best: Epoch,
    num_classes: int,
    measured: Mapping[str, tuple[Examples, Sequence[str]]],
    reporter: Reporter,
) -> dict[str, Any]:
    """Evaluate the network on each set, and judge whether it has learnt.

    best: the epoch that the weights come from. num_classes: outputs of the network. measured: examples and class names,
    in the order of the class indices, of "training", and of "validation" and "test" if there are any.
    """
    device = next(model.parameters()).device
    metrics: dict[str, Any] = {"epoch": best.epoch}
    total = sum(len(examples) for examples, _ in measured.values())
    with reporter.progress("evaluating", total, "images") as progress:
        for name, (examples, names) in measured.items():
            evaluation = evaluate(model, examples.on_device(device), num_classes, progress.advance)
            metrics[name] = _summary_of(evaluation) if name == "training" else _report_of(evaluation, names)
    return {**metrics, "learnt": evidence_in(metrics).learnt}


def _summary_of(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "examples": evaluation.examples,
        "loss": evaluation.loss if math.isfinite(evaluation.loss) else None,  # JSON has no nan
        "accuracy": evaluation.accuracy,
        "interval": wilson_interval(evaluation.accuracy, evaluation.examples),
        "largest_share": evaluation.largest_share,
    }


def _report_of(evaluation: Evaluation, names: Sequence[str]) -> dict[str, Any]:
    """names: the classes of the rows of the confusion matrix; its columns are the first of them."""
    rows = evaluation.confusion.tolist()
    return {
        **_summary_of(evaluation),
        "class_accuracy": dict(zip(names, evaluation.class_accuracy, strict=True)),
        "confusion": rows,
        "confused": _most_confused(rows, names),
    }


def _most_confused(confusion: Sequence[Sequence[int]], names: Sequence[str]) -> list[tuple[str, str, int]]:
    """Return true class, predicted class and count of the most frequent mistakes, the most frequent first."""
    mistakes = [
        (names[true], names[predicted], count)
        for true, row in enumerate(confusion)
        for predicted, count in enumerate(row)
        if count and predicted != true
    ]
    return sorted(mistakes, key=lambda mistake: -mistake[2])[:MOST_CONFUSED]
