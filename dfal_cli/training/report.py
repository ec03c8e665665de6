"""Metrics of a trained network as text and tables on the console."""

from collections.abc import Mapping, Sequence
from typing import Any

from dfal_cli.errors import plural
from dfal_cli.statistics.intervals import MIN_IMAGES
from dfal_cli.system.reporting import Reporter
from dfal_cli.training.learnt import HELD_OUT, evidence_in

LARGEST_TABLE = 20
"""Maximum number of classes in a confusion matrix: a wider one fits no screen."""

WORST = 10
"""Number of classes shown if there are more."""


def show_metrics(metrics: Mapping[str, Any], classes: Sequence[str], reporter: Reporter) -> None:
    """Show accuracy per class and the confusion matrix of the most independent set."""
    measured = [name for name in HELD_OUT if name in metrics]
    if measured:
        _show_confusion(measured[0], metrics[measured[0]], classes, reporter)
    for name in measured:
        if metrics[name]["examples"] < MIN_IMAGES:
            low, high = metrics[name]["interval"]
            reporter.note(
                f"only {metrics[name]['examples']} {name} {plural(metrics[name]['examples'], 'image')}: "
                f"the accuracy on new images may be anywhere from {100 * low:.0f} to {100 * high:.0f} %"
            )


def warn_unless_learnt(metrics: Mapping[str, Any], what_to_try: str, reporter: Reporter) -> None:
    """Warn if the metrics do not show that the network has learnt; name them and `what_to_try`."""
    evidence = evidence_in(metrics)
    if evidence.figures is not None and not evidence.learnt:
        reporter.warn(
            "there is no evidence that the network has learnt: "
            f"{accuracy_in_words(evidence.measured_on, evidence.figures)}, and always predicting the largest class "
            f"would reach {100 * evidence.figures['largest_share']:.1f} %; try {what_to_try}"
        )
    elif evidence.learnt is None:
        reporter.note("too few held-out images to tell whether the network has learnt")


def summary_of(metrics: Mapping[str, Any]) -> str:
    """Return a one-line summary: how the model was trained, and its accuracy."""
    measured = [accuracy_in_words(name, metrics[name]) for name in HELD_OUT if name in metrics]
    if "strength" in metrics:
        trained = f"head with strength {metrics['strength']:g} ({metrics['strength_how']})"
    else:
        trained = f"best of {metrics['epochs']} epochs: {metrics['epoch']}"
    return "; ".join([trained, *measured])


def accuracy_in_words(name: str, report: Mapping[str, Any]) -> str:
    """Return `validation: 58.3 % of 12 images correct (32 to 81 %)`, with the 95 % confidence interval."""
    low, high = (100 * end for end in report["interval"])
    digits = 0 if report["examples"] < 1000 else 1
    return (
        f"{name}: {100 * report['accuracy']:.1f} % of {report['examples']:,} images correct "
        f"({low:.{digits}f} to {high:.{digits}f} %)"
    )


def _show_confusion(name: str, report: Mapping[str, Any], classes: Sequence[str], reporter: Reporter) -> None:
    title = accuracy_in_words(name, report)
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
