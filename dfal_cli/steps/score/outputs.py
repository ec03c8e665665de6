"""Outputs of score beside the rows: files beside the scores, the twins, the metadata and the summary."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from dfal_cli import __version__
from dfal_cli.images.pool import pool_in_words
from dfal_cli.schemas import CROSSED, LABELLED_SUFFIX, SKIPPED, UNCROSSED, UNREADABLE_SUFFIX
from dfal_cli.scoring.judging import judge_scores, reasons_in_words
from dfal_cli.scoring.rows import Indices, Rows
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.system.files import beside, check_writable, locked
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables.twins import TwinStore, locked_twins, twins_folder
from dfal_cli.tables.vectors import Values

OPTIONAL_OUTPUTS = (UNREADABLE_SUFFIX, LABELLED_SUFFIX)
"""Suffixes of the outputs beside the scores that are written only if they have contents."""


class Classifier(Protocol):
    """What the outputs say of the network or head."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata of the checkpoint."""

    @property
    def sha256(self) -> str:
        """SHA-256 of the checkpoint."""


def companions(out: Path, suffixes: Sequence[str]) -> list[Path]:
    """Paths of the files beside the scores."""
    return [beside(out, suffix) for suffix in suffixes]


@contextlib.contextmanager
def locked_outputs(options: ScoreOptions, reporter: Reporter) -> Iterator[None]:
    """Lock the scores file, and with --twins the folder of the twins."""
    with contextlib.ExitStack() as locks:
        locks.enter_context(locked(options.out, options.wait, reporter.note, may_be_complete=True))
        if options.twins:
            locks.enter_context(locked_twins(options.out, options.twins_dir, options.wait, reporter.note))
        yield


def check_outputs_writable(options: ScoreOptions) -> None:
    """Raise UsageError if an output exists on a read-only disk, which only one that is up to date may be on."""
    check_writable(options.out)
    if options.twins:
        check_writable(twins_folder(options.out, options.twins_dir))


def save_twins(
    options: ScoreOptions, rows: Rows, twins_of: Callable[[Indices], Iterable[tuple[int, Values]]], reporter: Reporter
) -> None:
    """Save the twins of the `--twins` smallest margins, and add their paths to the rows.

    twins_of: yields those of the rows that have a twin, with the twin.
    """
    nearest = rows.by_margin()[: options.twins]
    if not len(nearest):
        return
    store = TwinStore(options.out, options.twins_dir, options.labels)
    for row, twin in twins_of(nearest):
        rows.twins[row] = store.save(rows.images[row], twin)
    if len(rows.twins) < len(nearest):
        reporter.note(
            f"twins not kept: {len(nearest) - len(rows.twins)}, because they are not clearly across the boundary "
            "or their images have disappeared"
        )


def count_outcomes(rows: Rows, classifier: Classifier, reporter: Reporter, *, may_be_skipped: bool) -> dict[str, int]:
    """The number of images by outcome. Warns if the scores as a whole look wrong."""
    outcomes = {outcome: rows.of_outcome(outcome) for outcome in (CROSSED, UNCROSSED, SKIPPED)}
    predicted = rows.predicted(classifier.classes)
    judge_scores(predicted, classifier.metadata, outcomes, rows.uncrossed_because(), reporter)
    return outcomes if may_be_skipped else {CROSSED: outcomes[CROSSED], UNCROSSED: outcomes[UNCROSSED]}


def summary_of(options: ScoreOptions, space: str, rows: Rows, counts: dict[str, int]) -> str:
    """The counts, with the reasons of uncrossed images, and the space of the margins."""
    reasons = rows.uncrossed_because()
    notes = {UNCROSSED: f" ({reasons_in_words(reasons)})"} if reasons else {}

    def listed(names: Iterable[str]) -> str:
        return ", ".join(f"{counts[name]} {name}{notes.get(name, '')}" for name in names if name in counts)

    pool = pool_in_words(counts, options.labels, options.exclude)
    scored = f"{counts['scored']} scored from {pool}: {listed((CROSSED, UNCROSSED, SKIPPED))}"
    return f"{scored}; {listed(('unreadable', 'twins'))}; margins in {space} space"


def details_of(space: str, rows: Rows) -> dict[str, Any]:
    """The details of the result in either space."""
    return {"space": space, "uncrossed_because": dict(rows.uncrossed_because())}


def metadata_of_scores(
    options: ScoreOptions, classifier: Classifier, inputs: dict[str, Any], of_space: dict[str, Any]
) -> dict[str, Any]:
    """The metadata of the scores file. inputs: metadata about the inputs; of_space: those of one space only."""
    return {
        "classes": classifier.classes,
        "checkpoint_sha256": classifier.sha256,
        "norm": options.norm,
        "seed": options.seed,
        **of_space,
        **inputs,
        "dfal": __version__,
    }
