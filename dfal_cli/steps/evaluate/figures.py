"""The figures of an evaluation: those that train reports of a test set, precision, and the calibration error."""

from typing import Any, NamedTuple

import numpy as np

from dfal_cli.statistics.calibration import calibration_error, confidence_of
from dfal_cli.steps.evaluate.measuring import Measured
from dfal_cli.steps.labelled_set import recorded_calibration
from dfal_cli.training.label_sets import digest_of_table
from dfal_cli.training.measured import evaluation_of


class Figures(NamedTuple):
    """The figures of an evaluation."""

    report: dict[str, Any]
    """As train reports it of a test set."""
    precision: dict[str, float | None]
    """Share of the images predicted as each class that are of it; None for a class that is never predicted."""
    correct: int
    temperature: float
    """The one that the checkpoint recorded; 1 if it recorded none."""
    is_own: bool
    """Whether the temperature was found on these images."""
    error_before: float
    """Expected calibration error of the classifier itself."""
    error: float
    """The same at the temperature; if that is its own, as measured on the other fifths of the images."""


def figures_of(measured: Measured) -> Figures:
    """Return the figures. Images of classes that the checkpoint does not know count as wrong."""
    labelled, logits = measured.labelled, measured.logits
    targets = labelled.targets
    evaluation = evaluation_of(logits, targets)
    predicted, right = evaluation.confusion.sum(0), evaluation.confusion.diagonal()
    precision = {
        name: int(right[place]) / int(predicted[place]) if predicted[place] else None
        for place, name in enumerate(measured.metadata["classes"])
    }
    correct = logits.argmax(1) == targets
    recorded = recorded_calibration(measured.metadata)
    temperature = recorded["temperature"] if recorded else 1.0
    is_own = recorded is not None and recorded["measured_on"] == "test" and _is_test_set(measured)
    error = calibration_error(confidence_of(logits, temperature), correct)
    if recorded and is_own:
        error = recorded.get("error_after", error)
    return Figures(
        evaluation.report(labelled.classes), precision, int(np.count_nonzero(correct)), temperature, is_own,
        calibration_error(confidence_of(logits), correct), error,
    )  # fmt: skip


def _is_test_set(measured: Measured) -> bool:
    """Return whether the images are those that the checkpoint was trained with as --test."""
    parts = measured.metadata.get("parts")
    own = digest_of_table(measured.labelled.table, measured.content_hashes)
    return isinstance(parts, dict) and parts.get("test") == own
