"""What both ways to predict have in common: metadata, counts and the summary."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dfal_cli import __version__
from dfal_cli.errors import plural
from dfal_cli.images.pool import pool_in_words
from dfal_cli.scoring.judging import judge_predictions
from dfal_cli.scoring.predicted import Predictions
from dfal_cli.steps.pool_inputs import Kind, inputs_metadata
from dfal_cli.steps.predict.options import PredictOptions
from dfal_cli.steps.predict.temperature import Temperature
from dfal_cli.steps.result import Result
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables.predictions import COMMAND, predictions_are_whole, read_predictions_metadata
from dfal_cli.tables.streamed import write_tables
from dfal_cli.tables.vectors import Values

PREDICTIONS = Kind(
    "a predictions file of dfal", read_predictions_metadata, predictions_are_whole, "predicting them again"
)

MOST_CLASSES = 20
"""Maximum number of classes in the table of counts."""


def write_predictions(
    options: PredictOptions,
    predictions: Predictions,
    probabilities: Callable[[], Iterator[Values]] | None,
    temperature: Temperature,
    inputs: Mapping[str, Any],
    metadata: Mapping[str, Any],
    reporter: Reporter,
) -> None:
    """Write the rows. probabilities: as of `Predictions.tables`. metadata: those of one way to predict only."""
    stored = {
        "command": COMMAND,
        "classes": predictions.classes,
        "checkpoint_sha256": inputs["checkpoint"],
        "temperature": temperature.value,
        "calibration": temperature.measured,
        **metadata,
        **inputs_metadata(inputs),
        "dfal": __version__,
    }
    with reporter.busy("writing the predictions"):
        write_tables(options.out, predictions.tables(options.min_confidence, probabilities), stored)


def result_of(
    options: PredictOptions,
    outputs: list[Path],
    predictions: Predictions,
    temperature: Temperature,
    metadata: Mapping[str, Any],
    counts: dict[str, int],
    details: Mapping[str, Any],
    reporter: Reporter,
) -> Result:
    """Return the result. Warns if the predictions as a whole look wrong. metadata: those of the checkpoint."""
    by_class = predictions.counts()
    judge_predictions(by_class, metadata, reporter, "prediction")
    unknown = by_class.pop(None, 0)
    counts = {**counts, "predicted": by_class.total(), "without_prediction": unknown}
    if options.min_confidence is not None:
        counts["look"] = int(predictions.below(options.min_confidence).sum())
    most = by_class.most_common(MOST_CLASSES)
    rows = [(name, count, f"{count / max(1, by_class.total()):.1%}") for name, count in most]
    more = f"; the {MOST_CLASSES} most frequent of {len(by_class)}" if len(by_class) > MOST_CLASSES else ""
    reporter.table(f"predicted classes{more}", ("class", "images", "share"), rows)
    found = {
        "classes": {name: by_class.get(name, 0) for name in predictions.classes},
        "temperature": temperature.value,
        "calibration": temperature.measured,
    }
    return Result([options.out, *outputs], _summary(options, counts), counts, {**details, **found})


def _summary(options: PredictOptions, counts: Mapping[str, int]) -> str:
    pool = pool_in_words(counts, options.labels, options.exclude)
    words = [f"{counts['predicted']} predicted from {pool}"]
    if options.min_confidence is not None:
        words.append(f"{counts['look']} to look at (confidence below {options.min_confidence:g})")
    if unknown := counts["without_prediction"]:
        words.append(f"{unknown} {plural(unknown, 'image')} without a prediction")
    if counts.get("unreadable"):
        words.append(f"{counts['unreadable']} unreadable")
    return "; ".join(words)
