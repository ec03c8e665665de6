"""Prepares the scoring of a pool: batch sizes, the scorer and the additional measures."""

from collections.abc import Iterator, Sequence
from typing import Any

from dfal_cli.checkpoint import LoadedNetwork
from dfal_cli.images import DecodedBatch, ImageSource
from dfal_cli.measures import MEASURES, MeasureRunner, Settings
from dfal_cli.scoring.scorer import MarginSettings, Scorer
from dfal_cli.steps.pool_inputs import UNFINISHED_CHANGE_TEXTS
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.system.device import FittingBatches
from dfal_cli.system.parts import Parts
from dfal_cli.system.reporting import Reporter


def new_scorer(
    options: ScoreOptions, network: LoadedNetwork, source: ImageSource, batches: FittingBatches, reporter: Reporter
) -> Scorer:
    """A scorer of images from the source, with the margin options."""

    def stream(images: Sequence[str]) -> Iterator[DecodedBatch]:
        return source.batches(images, network.input_format, batches.read, options.workers)

    margins = MarginSettings(
        options.estimator, options.norm, options.max_iterations, options.overshoot, options.classes, options.clip
    )
    return Scorer(network, margins, stream, batches, reporter)


def new_measures(
    options: ScoreOptions, names: Sequence[str], network: LoadedNetwork, batches: FittingBatches, reporter: Reporter
) -> MeasureRunner:
    """The additional measures. Raises UsageError if the network lacks what a measure needs."""
    settings = Settings(network.metadata["architecture"]["name"], options.passes, options.seed, reporter.warn)
    return MeasureRunner({name: MEASURES[name] for name in names}, network.model, settings, batches)


def report_resuming(parts: Parts, inputs: dict[str, Any], total: int, reporter: Reporter) -> None:
    """Report that this call resumes an unfinished one, or why it does not."""
    if finished := parts.section("pool").finished:
        examined = parts.section("margins").finished
        reporter.note(f"resuming after {finished} of {total} images" + (f" and {examined} margins" if examined else ""))
    parts.report_discarded("scores", inputs, UNFINISHED_CHANGE_TEXTS, reporter)
