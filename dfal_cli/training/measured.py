"""Loss and confusion matrix of a classifier on one set of examples, and the metrics that follow, ready for JSON."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dfal_cli.statistics.intervals import wilson_interval
from dfal_cli.training.head import Numbers, Targets, cross_entropy

MOST_CONFUSED = 5
"""Maximum number of class pairs listed as the most frequent mistakes."""


class Evaluation(NamedTuple):
    """Results on one set of examples. K: outputs of the classifier; R >= K: classes among the labels."""

    loss: float
    """Mean cross-entropy of the examples whose class the classifier has an output for; nan if there are none."""
    confusion: npt.NDArray[np.int64]
    """(R, K) counts: true classes in rows, predicted classes in columns."""

    @property
    def examples(self) -> int:
        """Number of examples."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Share of the examples that are classified correctly."""
        return int(np.trace(self.confusion)) / max(1, self.examples)

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

    @property
    def balanced_accuracy(self) -> float:
        """Mean accuracy of the classes that have examples: each counts the same, however many examples it has."""
        known = [accuracy for accuracy in self.class_accuracy if accuracy is not None]
        return sum(known) / max(1, len(known))

    def summary(self) -> dict[str, Any]:
        """Return the metrics without those of single classes."""
        return {
            "examples": self.examples,
            "loss": self.loss if math.isfinite(self.loss) else None,  # JSON has no nan
            "accuracy": self.accuracy,
            "balanced_accuracy": self.balanced_accuracy,
            "interval": wilson_interval(self.accuracy, self.examples),
            "largest_share": self.largest_share,
        }

    def report(self, names: Sequence[str]) -> dict[str, Any]:
        """Return all metrics. names: the R classes; the K columns of the confusion matrix are the first of them."""
        rows = self.confusion.tolist()
        return {
            **self.summary(),
            "class_accuracy": dict(zip(names, self.class_accuracy, strict=True)),
            "confusion": rows,
            "confused": _most_confused(rows, names),
        }


def evaluation_of(logits: Numbers, targets: Targets) -> Evaluation:
    """Evaluate logits, (n, K), of examples with class indices (n,); classes without an output have the largest ones."""
    outputs = logits.shape[1]
    known = targets < outputs
    confusion = np.zeros((max(outputs, int(targets.max()) + 1), outputs), np.int64)
    np.add.at(confusion, (targets, logits.argmax(1)), 1)
    loss = float(cross_entropy(logits[known], targets[known]).mean()) if known.any() else math.nan
    return Evaluation(loss, confusion)


def _most_confused(confusion: Sequence[Sequence[int]], names: Sequence[str]) -> list[tuple[str, str, int]]:
    """Return true class, predicted class and count of the most frequent mistakes, the most frequent first."""
    mistakes = [
        (names[true], names[predicted], count)
        for true, row in enumerate(confusion)
        for predicted, count in enumerate(row)
        if count and predicted != true
    ]
    return sorted(mistakes, key=lambda mistake: -mistake[2])[:MOST_CONFUSED]
