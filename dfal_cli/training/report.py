"""Metrics of a trained network as text and tables on the console."""

from collections.abc import Mapping, Sequence
from typing import Any

from dfal_cli.errors import plural
from dfal_cli.statistics.intervals import MIN_IMAGES
from dfal_cli.system.reporting import Reporter
from dfal_cli.training.learnt import CROSS_VALIDATION, HELD_OUT, evidence_in

LARGEST_TABLE = 20
"""Maximum number of classes in a confusion matrix: a wider one fits no screen."""

HOW_STRENGTH_IS_CHOSEN = {"fixed": "default: too few labels to tune it", "cross-validated": "tuned by cross-validation"}
"""How the strength of a head was chosen (`Head.how`), in words."""

WORST = 10
"""Number of classes shown if there are more."""


def show_metrics(metrics: Mapping[str, Any], classes: Sequence[str], reporter: Reporter) -> None:
    """Show accuracy per class and the confusion matrix of the most independent set."""
    measured = [name for name in HELD_OUT if name in metrics]
    if measured:
        _show_confusion(accuracy_in_words(measured[0], metrics), metrics[measured[0]], classes, reporter)
    for name in measured:
        if metrics[name]["examples"] < MIN_IMAGES:
            low, high = metrics[name]["interval"]
            kind = "labelled" if _is_cross_validation(name, metrics) else name
            reporter.note(
                f"only {metrics[name]['examples']} {kind} {plural(metrics[name]['examples'], 'image')}: "
                f"the accuracy on new images may be anywhere from {100 * low:.0f} to {100 * high:.0f} %"
            )


def warn_unless_learnt(metrics: Mapping[str, Any], what_to_try: str, reporter: Reporter) -> None:
    """Warn if the metrics do not show that the model has learnt; name them and `what_to_try`."""
    evidence, model = evidence_in(metrics), "head" if "strength" in metrics else "network"
    if metrics["training"]["largest_share"] == 1:
        reporter.warn(
            f"all labelled images are of one class: the {model} cannot have learnt to tell it from others; "
            "label images of other classes"
        )
    elif evidence.figures is not None and not evidence.learnt:
        measured = accuracy_in_words(evidence.measured_on, {**metrics, evidence.measured_on: evidence.figures})
        reporter.warn(
            f"there is no evidence that the {model} has learnt: {measured}, and always predicting the largest class "
            f"would reach {100 * evidence.figures['largest_share']:.1f} %; try {what_to_try}"
        )
    elif evidence.learnt is None:
        reporter.note(f"too few held-out images to tell whether the {model} has learnt")


def summary_of(metrics: Mapping[str, Any]) -> str:
    """Return a one-line summary: how the model was trained, and its accuracy."""
    measured = [accuracy_in_words(name, metrics) for name in HELD_OUT if name in metrics]
    if "strength" in metrics:
        how = HOW_STRENGTH_IS_CHOSEN.get(metrics["strength_how"], metrics["strength_how"])
        trained = f"head with regularisation {metrics['strength']:g} ({how})"
    else:
        trained = f"best of {metrics['epochs']} epochs: {metrics['epoch']}"
    return "; ".join([trained, *measured])


def accuracy_in_words(name: str, metrics: Mapping[str, Any]) -> str:
    """Return `validation: 58.3 % of 12 images correct (32 to 81 %)`, with the 95 % confidence interval.

    Cross-validation is named, because it measures on the images that were trained on in the end.
    """
    report, images = metrics[name], "images"
    if _is_cross_validation(name, metrics):
        name, images = CROSS_VALIDATION, "labelled images"
    low, high = (100 * end for end in report["interval"])
    digits = 0 if report["examples"] < 1000 else 1
    return (
        f"{name}: {100 * report['accuracy']:.1f} % of {report['examples']:,} {images} correct "
        f"({low:.{digits}f} to {high:.{digits}f} %)"
    )


def _is_cross_validation(name: str, metrics: Mapping[str, Any]) -> bool:
    return name == "validation" and metrics.get("validation_from") == CROSS_VALIDATION


def _show_confusion(title: str, report: Mapping[str, Any], classes: Sequence[str], reporter: Reporter) -> None:
    accuracies, rows = report["class_accuracy"], report["confusion"]
    if len(accuracies) <= LARGEST_TABLE:
        shown = [(label, _percent(accuracies[label]), *row) for label, row in zip(accuracies, rows, strict=True)]
        reporter.table(f"{title}; rows true, columns predicted", ("class", "accuracy", *classes), shown)
        return
    labels = list(accuracies)
    measured = [index for index, accuracy in enumerate(accuracies.values()) if accuracy is not None]
    worst = sorted(measured, key=lambda index: (accuracies[labels[index]], -sum(rows[index])))[:WORST]
    shown = [
        (
            labels[index],
            _percent(accuracies[labels[index]]),
            sum(rows[index]),
            _most_frequent_mistake(rows[index], index, classes),
        )
        for index in worst
    ]
    columns = ("class", "accuracy", "images", "most often mistaken for")
    reporter.table(f"{title}; the {len(worst)} worst of {len(labels)} classes (--json has all)", columns, shown)


def _most_frequent_mistake(row: Sequence[int], true: int, classes: Sequence[str]) -> str:
    """Return the class that a class is most often mistaken for, with the count."""
    mistakes = [0 if predicted == true else count for predicted, count in enumerate(row)]
    most = max(mistakes)
    return f"{classes[mistakes.index(most)]} ({most})" if most else "-"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
