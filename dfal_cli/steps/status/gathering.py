"""Reads the files of a project and gathers where it stands."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from dfal_cli.images import ImageFolder
from dfal_cli.images.pool import image_names
from dfal_cli.models.metadata import read_checkpoint_metadata
from dfal_cli.schemas import IMAGE, LABEL, SKIP
from dfal_cli.statistics.learning_curve import MIN_POINTS, Forecast, forecast
from dfal_cli.statistics.stopping import MIN_IMAGES, RULES, Verdict
from dfal_cli.steps.control_slices import Control, control_of, curve_of, marked_images, rare_classes
from dfal_cli.steps.rounds import Point, Round, history_of, key_of, read_rounds
from dfal_cli.steps.status.options import StatusOptions
from dfal_cli.system.files import is_file
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import (
    ImageNames,
    answered_images,
    keep_names,
    labelled_rows,
    read_excluded,
    read_labels,
    read_labels_files,
    read_tool_answers,
)
from dfal_cli.tables.answer_times import seconds_spent
from dfal_cli.tables.embeddings import read_embedded_images


class Outlook(NamedTuple):
    """The forecast of the number of labels for the target."""

    curve: list[Point]
    """The accuracy of each round by number of labels, all measured on the same kind of images."""
    forecast: Forecast | None
    """None if the curve does not carry one."""
    reached: bool
    """Whether the newest accuracy is at least the target, on enough images."""
    problem: str
    """Why there is no forecast, or none that says much; else ""."""


@dataclasses.dataclass(frozen=True)
class Status:
    """Where a project stands."""

    counts: dict[str, int]
    """Class -> number of labels, the most frequent first."""
    rare: list[str]
    unusable: int
    left: int | None
    """Number of images without a label that are in no test set; None if it is not known which images there are."""
    rounds: list[Round]
    control: Control | None
    outlook: Outlook
    rules: dict[str, Verdict]
    """Stopping rule -> whether it holds; empty without rounds."""
    training_seconds: float | None
    people_seconds: float | None
    """Time of the people who answered on the labelling page; None if nobody did."""
    target: float

    @property
    def labelled(self) -> int:
        """Number of labelled images."""
        return sum(self.counts.values())


def gather(options: StatusOptions, reporter: Reporter) -> Status:
    """Read everything that the options name. Raises UsageError or DataError as `status`."""
    names = _names(options)
    matching = names.matched(reporter.warn, reporter.note, reporter.note, reporter.warn) if names else keep_names
    table = read_labels_files(options.labels, matching)
    counted = Counter(labelled_rows(table)[LABEL])
    counts = dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))
    rounds = read_rounds(options.rounds, options.scores)
    for each in rounds:
        each.training = each.training or _results_in(each.checkpoint)
    control = control_of(rounds, table, marked_images(_labels_tables(options.labels)))
    curve = curve_of(rounds, control)
    training = [float(each.training["seconds"]) for each in rounds if "seconds" in each.training]
    people = [spent for each in rounds if (spent := seconds_spent(each.queries_file)) is not None]
    return Status(
        counts, rare_classes(counts), int((table[LABEL] == SKIP).sum()), _left(options, names, table, rounds), rounds,
        control, outlook_of(curve, options.target, options.seed), _rules(rounds, curve),
        sum(training) if training else None, sum(people) if people else None, options.target,
    )  # fmt: skip


def outlook_of(curve: list[Point], target: float, seed: int) -> Outlook:
    """Return the forecast for the target, or why there is none."""
    if not curve:
        return Outlook(curve, None, False, "needs the accuracy on a test set or on a control slice")
    labels, accuracies = [each.labels for each in curve], [each.measured.accuracy for each in curve]
    newest = accuracies[-1].share
    if newest >= target:
        is_sure = accuracies[-1].images >= MIN_IMAGES
        problem = f"the last round is above it, but on {accuracies[-1].images} images only"
        return Outlook(curve, None, is_sure, "" if is_sure else problem)
    if len(set(labels)) < MIN_POINTS:
        return Outlook(curve, None, False, f"too few rounds: {len(curve)}, and a forecast needs {MIN_POINTS}")
    if newest <= accuracies[0].interval[1]:
        return Outlook(curve, None, False, "the curve is flat: the last accuracy is within the interval of the first")
    shares, images = [one.share for one in accuracies], [one.images for one in accuracies]
    return Outlook(curve, forecast(labels, shares, images, target, seed), False, "")


def _names(options: StatusOptions) -> ImageNames | None:
    """The images that there are; None if it is not known."""
    if options.images:
        return image_names(ImageFolder(options.images, follow_links=options.follow_links))
    if options.embeddings:
        images = read_embedded_images(options.embeddings)
        return ImageNames(options.embeddings, frozenset(images).__contains__, lambda: images, "in")
    return None


def _results_in(checkpoint: Path) -> dict[str, Any]:
    """The results of a training that are in the metadata of its checkpoint; empty if there is none."""
    if not is_file(checkpoint):
        return {}
    match read_checkpoint_metadata(checkpoint):
        case {"metrics": dict(metrics), "counts": dict(counts)}:
            return {**metrics, "counts": counts}
    return {}


def _left(options: StatusOptions, names: ImageNames | None, table: pd.DataFrame, rounds: Sequence[Round]) -> int | None:
    """The number of images that may still be asked about: of all, or else of the newest scores."""
    images: Sequence[str]
    if names is not None:
        images = list(names.all())
    elif scored := [each for each in rounds if each.is_scored]:
        images = scored[-1].scores[IMAGE].tolist()
    else:
        return None
    known = {key_of(image) for image in answered_images(table) | read_excluded(options.test).images}
    return sum(key_of(image) not in known for image in images)


def _labels_tables(paths: Sequence[Path]) -> list[pd.DataFrame]:
    """The labels files that are CSV files of dfal, with all of their columns."""
    return [read_labels(path) for path in paths if read_tool_answers(path) is None]


def _rules(rounds: Sequence[Round], curve: Sequence[Point]) -> dict[str, Verdict]:
    if not rounds:
        return {}
    history = history_of(rounds, curve)
    return {name: rule.judge(history) for name, rule in RULES.items()}
