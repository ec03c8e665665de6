"""Prepares the scoring of a pool: the works of a process, and the additional measures."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from dfal_cli.checkpoint import LoadedNetwork
from dfal_cli.images import DecodedBatch, ImageSource
from dfal_cli.measures import MEASURES, MeasureRunner, Settings
from dfal_cli.schemas import EMBEDDING
from dfal_cli.scoring.scorer import MarginSettings, Scorer
from dfal_cli.scoring.works import works_of
from dfal_cli.steps.pool_inputs import UNFINISHED_CHANGE_TEXTS
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.system.crew import Work
from dfal_cli.system.device import FittingBatches
from dfal_cli.system.parts import Parts
from dfal_cli.system.reporting import Reporter, Silent


def new_works(
    options: ScoreOptions, network: LoadedNetwork, source: ImageSource, batches: FittingBatches, reporter: Reporter
) -> tuple[Mapping[str, Work], MeasureRunner]:
    """The works of a process, and the additional measures.

    Raises UsageError if the network lacks what a measure needs.
    """

    def stream(images: Iterable[Sequence[str]]) -> Iterator[DecodedBatch]:
        return source.batches(images, network.input_format, options.workers)

    margins = MarginSettings(
        options.estimator, options.norm, options.max_iterations, options.overshoot, options.classes, options.clip
    )
    measures = _new_measures(options, options.measure, network, batches, reporter)
    embedding = None
    if EMBEDDING in options.measure:
        embedding = _new_measures(options, [EMBEDDING], network, batches, Silent())  # the pool has warned already
    return works_of(Scorer(network, margins, stream, batches, reporter), measures, embedding), measures


def _new_measures(
    options: ScoreOptions, names: Sequence[str], network: LoadedNetwork, batches: FittingBatches, reporter: Reporter
) -> MeasureRunner:
    settings = Settings(network.metadata["architecture"]["name"], options.passes, options.seed, reporter.warn)
    return MeasureRunner({name: MEASURES[name] for name in names}, network.model, settings, batches)


def report_resuming(parts: Parts, inputs: dict[str, Any], total: int, reporter: Reporter) -> None:
    """Report that this call resumes an unfinished one, or why it does not."""
    if finished := parts.section("pool").finished:
        examined = parts.section("margins").finished
        reporter.note(f"resuming after {finished} of {total} images" + (f" and {examined} margins" if examined else ""))
    parts.report_discarded("scores", inputs, UNFINISHED_CHANGE_TEXTS, reporter)
