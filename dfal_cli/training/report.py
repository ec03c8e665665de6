"""What a training came to, in words and tables for a person."""

from collections.abc import Mapping, Sequence
from typing import Any

from dfal_cli.statistics.intervals import FEW
from dfal_cli.system.reporting import Reporter
from dfal_cli.training.learnt import UNSEEN, evidence_in

LARGEST_TABLE = 20
"""Classes: a confusion table of more is wider than any screen."""

WORST = 10
"""Classes that are shown of so many."""


def show_metrics(metrics: Mapping[str, Any], classes: Sequence[str], reporter: Reporter) -> None:
    """Show accuracy per class and the confusion table of the most independent set."""
    measured = [name for name in UNSEEN if name in metrics]
    if measured:
        _show_confusion(measured[0], metrics[measured[0]], classes, reporter)
    for name in measured:
        if metrics[name]["examples"] < FEW:
            low, high = metrics[name]["interval"]
            reporter.note(
                f"{metrics[name]['examples']} {name} images tell little: "
                f"of new images {100 * low:.0f} to {100 * high:.0f} % may be right"
            )


def warn_unless_learnt(metrics: Mapping[str, Any], what_to_try: str, reporter: Reporter) -> None:
    """Say that a network has not been shown to have learnt, by which numbers, and what to do."""
    evidence = evidence_in(metrics)
    if evidence.figures is not None and not evidence.learnt:
        reporter.warn(
            "the network has not been shown to have learnt: "
            f"{accuracy_in_words(evidence.measured_on, evidence.figures)}, and always naming the largest class "
            f"would be right on {100 * evidence.figures['largest_share']:.1f} %; try {what_to_try}"
        )
    elif evidence.learnt is None:
        reporter.note("whether the network has learnt cannot be told: there are too few unseen images to measure it on")


def summary_of(metrics: Mapping[str, Any]) -> str:
    """One sentence for a person."""
    measured = [accuracy_in_words(name, metrics[name]) for name in UNSEEN if name in metrics]
    return "; ".join([f"best of {metrics['epochs']} epochs: {metrics['epoch']}", *measured])


def accuracy_in_words(name: str, report: Mapping[str, Any]) -> str:
    """`validation: 58.3 % of 12 images right (32 to 81 %)`, the latter the 95 % interval."""
    low, high = (100 * end for end in report["interval"])
    digits = 0 if report["examples"] < 1000 else 1
    return (
        f"{name}: {100 * report['accuracy']:.1f} % of {report['examples']:,} images right "
        f"({low:.{digits}f} to {high:.{digits}f} %)"
    )


def _show_confusion(name: str, report: Mapping[str, Any], classes: Sequence[str], reporter: Reporter) -> None:
    title = accuracy_in_words(name, report)
    accuracies, rows = report["class_accuracy"], report["confusion"]
    if len(accuracies) <= LARGEST_TABLE:
        shown = [(label, _percent(accuracies[label]), *row) for label, row in zip(accuracies, rows, strict=True)]
        reporter.table(f"{title}; rows true, columns predicted", ("class", "accuracy", *classes), shown)
        return
    places = [place for place, accuracy in enumerate(accuracies.values()) if accuracy is not None]
    labels = list(accuracies)
    worst = sorted(places, key=lambda place: (accuracies[labels[place]], -sum(rows[place])))[:WORST]
    shown = [
        (
            labels[place],
            _percent(accuracies[labels[place]]),
            sum(rows[place]),
            _mistaken_for(rows[place], place, classes),
        )
        for place in worst
    ]
    columns = ("class", "accuracy", "images", "mostly taken for")
    reporter.table(f"{title}; the {len(worst)} worst of {len(labels)} classes (--json has all)", columns, shown)


def _mistaken_for(row: Sequence[int], place: int, classes: Sequence[str]) -> str:
    """The class that most of the mistakes name, and how many do."""
    mistakes = [0 if predicted == place else count for predicted, count in enumerate(row)]
    most = max(mistakes)
    return f"{classes[mistakes.index(most)]} ({most})" if most else "-"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
