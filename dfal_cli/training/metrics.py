"""What a training came to, in numbers for JSON and for a person."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from dfal_cli.console import Reporter
from dfal_cli.training.examples import Examples
from dfal_cli.training.fitting import Epoch, Evaluation, evaluate

MEASURED_ON = ("test", "validation")
"""The most independent examples first."""


def metrics_of(
    model: nn.Module, best: Epoch, classes: Sequence[str], reporter: Reporter, **examples: Examples | None
) -> dict[str, Any]:
    """The epoch whose the model is, and its loss, accuracy and confusion on the examples named."""
    device = next(model.parameters()).device
    metrics: dict[str, Any] = {"epoch": best.epoch, "training": {"loss": best.loss, "accuracy": best.accuracy}}
    measured = {name: labelled for name, labelled in examples.items() if labelled is not None}
    with reporter.progress("evaluating", sum(map(len, measured.values())), "images") as progress:
        for name, labelled in measured.items():
            evaluation = evaluate(model, labelled.ready(device), len(classes), progress.advance)
            metrics[name] = _report(evaluation, classes)
    return metrics


def show_metrics(metrics: dict[str, Any], classes: Sequence[str], reporter: Reporter) -> None:
    """Show accuracy per class and the confusion table."""
    name = next((name for name in MEASURED_ON if name in metrics), None)
    if name is None:
        return
    report = metrics[name]
    rows = [
        (label, "-" if accuracy is None else f"{accuracy:.1%}", *counts)
        for (label, accuracy), counts in zip(report["class_accuracy"].items(), report["confusion"], strict=True)
    ]
    title = f"{name}: {report['accuracy']:.2%} of {report['examples']} right; rows true, columns predicted"
    reporter.table(title, ("class", "accuracy", *classes), rows)


def summary_of(metrics: dict[str, Any]) -> str:
    """One sentence for a person."""
    measured = [f"{name} accuracy {metrics[name]['accuracy']:.4f}" for name in MEASURED_ON if name in metrics]
    return ", ".join([f"best of {metrics['epochs']} epochs: {metrics['epoch']}", *measured])


def _report(evaluation: Evaluation, classes: Sequence[str]) -> dict[str, Any]:
    return {
        "examples": int(evaluation.confusion.sum()),
        "loss": evaluation.loss,
        "accuracy": evaluation.accuracy,
        "class_accuracy": dict(zip(classes, evaluation.class_accuracy, strict=True)),
        "confusion": evaluation.confusion.tolist(),
    }
