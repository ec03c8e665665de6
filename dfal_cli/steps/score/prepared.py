"""What scoring works with: batches that fit, the scorer, further measures, and the parts of an unfinished call."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from dfal_cli.checkpoint import LoadedNetwork
from dfal_cli.images import DecodedBatch, ImageSource
from dfal_cli.measures import MEASURES, MeasureRunner, Settings
from dfal_cli.scoring.parts import Parts
from dfal_cli.scoring.scorer import MarginSettings, Scorer
from dfal_cli.steps.score.made_from import UNFINISHED_CHANGE_TEXTS
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.system.device import FittingBatches, first_batch_size
from dfal_cli.system.differences import differences
from dfal_cli.system.reporting import Reporter


def fitting_batches(options: ScoreOptions, network: LoadedNetwork, parts: Parts, reporter: Reporter) -> FittingBatches:
    """As many images at a time as the option says; else as those of the parts; else a first guess."""
    kept = parts.batch_sizes
    if kept is not None and options.batch_size in (None, kept.read):
        batches = FittingBatches(kept.read, reporter, kept.computed)
    else:
        size = options.batch_size or first_batch_size(network.device, network.input_shape)
        batches = FittingBatches(size, reporter)
    parts.track_batch_sizes(batches)
    return batches


def scorer_of(
    options: ScoreOptions, network: LoadedNetwork, source: ImageSource, batches: FittingBatches, reporter: Reporter
) -> Scorer:
    """The network with the margins that the options ask for; it reads and decodes its images as it goes."""

    def stream(images: Sequence[str]) -> Iterator[DecodedBatch]:
        return source.batches(images, network.input_format, batches.read, options.workers)

    margins = MarginSettings(
        options.estimator, options.norm, options.max_iterations, options.overshoot, options.classes, options.clip
    )
    return Scorer(network, margins, stream, batches, reporter)


def measuring_of(
    options: ScoreOptions, names: Sequence[str], network: LoadedNetwork, batches: FittingBatches, reporter: Reporter
) -> MeasureRunner:
    """Raises UsageError if the network has not what a measure takes."""
    settings = Settings(network.metadata["architecture"]["name"], options.passes, options.seed, reporter.warn)
    return MeasureRunner({name: MEASURES[name] for name in names}, network.model, settings, batches)


def say_what_is_kept(parts: Parts, shaped_by: dict[str, Any], total: int, reporter: Reporter) -> None:
    """Whether this call goes on from an unfinished one, or why it does not."""
    if kept := parts.section("pool").finished:
        examined = parts.section("margins").finished
        reporter.note(
            f"going on after {kept} of {total} images" + (f" and {examined} further margins" if examined else "")
        )
    elif parts.other_inputs:
        told = (differences(other, shaped_by, UNFINISHED_CHANGE_TEXTS) for other in parts.other_inputs)
        why = " and ".join(dict.fromkeys(itertools.chain.from_iterable(told)))
        reporter.note(f"starting anew: the unfinished call whose parts are in {parts.folder} was made {why}")
    if parts.damaged:
        reporter.note(f"{parts.damaged} damaged files in {parts.folder} are not used: what they held is computed anew")
