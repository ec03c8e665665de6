"""Outputs of score beside the table: the list of unreadable images, the twins, the metadata and the summary."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dfal_cli import __version__
from dfal_cli.checkpoint import LoadedNetwork
from dfal_cli.errors import DataError, plural
from dfal_cli.images import flat_in_words
from dfal_cli.schemas import CROSSED, SKIPPED, UNCROSSED, UNREADABLE_COLUMNS, UNREADABLE_SUFFIX
from dfal_cli.scoring.judging import judge_scores, reasons_in_words
from dfal_cli.scoring.nearest import Audit
from dfal_cli.scoring.rows import Rows
from dfal_cli.scoring.scorer import Scorer
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.system.files import beside
from dfal_cli.system.paths import relative_to_file
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import write_rows
from dfal_cli.tables.twins import TwinStore

Unreadable = Sequence[tuple[str, str]]
"""Image and reason."""


def stop_if_too_many(options: ScoreOptions, unreadable: Unreadable, total: int) -> None:
    """If more than the fraction --max-unreadable is unreadable, list the images and raise DataError."""
    if len(unreadable) > options.max_unreadable * total:
        listing = _write_listing(options.out, unreadable)
        raise DataError(
            f"{len(unreadable)} of {total} images cannot be read (see {listing} for the reasons); "
            "repair them, or raise --max-unreadable"
        )


def report_unreadable(options: ScoreOptions, unreadable: Unreadable, total: int, reporter: Reporter) -> list[Path]:
    """List unreadable images in <out>.unreadable.csv with a warning, or remove an earlier list.

    Returns the files written.
    """
    if not unreadable:
        beside(options.out, UNREADABLE_SUFFIX).unlink(missing_ok=True)
        return []
    listing = _write_listing(options.out, unreadable)
    reporter.warn(f"{len(unreadable)} of {total} images cannot be read; see {listing} for the reasons")
    return [listing]


def _write_listing(out: Path, unreadable: Unreadable) -> Path:
    listing = beside(out, UNREADABLE_SUFFIX)
    write_rows(listing, UNREADABLE_COLUMNS, sorted(unreadable))
    return listing


def save_twins(options: ScoreOptions, scorer: Scorer, rows: Rows, reporter: Reporter) -> None:
    """Save the twins of the `--twins` smallest margins, and add their paths to the rows."""
    nearest = rows.by_margin()[: options.twins].tolist()
    if not nearest:
        return
    store = TwinStore(options.out, options.twins_dir, options.labels)
    row_of = {rows.images[row]: row for row in nearest}
    for image, twin in scorer.twins_of(list(row_of)):
        rows.twins[row_of[image]] = store.save(image, twin)
    if len(rows.twins) < len(nearest):
        reporter.note(
            f"twins not kept: {len(nearest) - len(rows.twins)}, because they are not clearly across the boundary "
            "or their images have disappeared"
        )


def count_outcomes(rows: Rows, network: LoadedNetwork, reporter: Reporter, *, may_be_skipped: bool) -> dict[str, int]:
    """The number of images by outcome. Warns if the scores as a whole look wrong."""
    outcomes = {outcome: rows.of_outcome(outcome) for outcome in (CROSSED, UNCROSSED, SKIPPED)}
    judge_scores(rows.predicted(network.classes), network.metadata, outcomes, rows.uncrossed_because(), reporter)
    if rows.flat:
        reporter.warn(flat_in_words(rows.flat, len(rows)))
    return outcomes if may_be_skipped else {CROSSED: outcomes[CROSSED], UNCROSSED: outcomes[UNCROSSED]}


def summary_of(counts: dict[str, int], reasons: Counter[str], audit: Audit | None, nearest: int | None) -> str:
    """The counts, the reasons of uncrossed images, and the result of the audit."""
    notes = {UNCROSSED: f" ({reasons_in_words(reasons)})"} if reasons else {}
    summary = ", ".join(f"{count} {name}{notes.get(name, '')}" for name, count in counts.items())
    if audit is None or not audit.audited:
        return summary
    summary += (
        f"; an audit of {audit.audited} skipped {plural(audit.audited, 'image')} found none of the {nearest} nearest"
    )
    if audit.missed:
        summary += f" ({audit.missed} found by earlier audits are now included)"
    if audit.missing_at_most < (nearest or 0):
        summary += f": at most {audit.missing_at_most} may be missing (95 % confidence)"
    return summary


def metadata_of_scores(
    options: ScoreOptions, network: LoadedNetwork, inputs: dict[str, Any], audit: Audit | None, *, with_labelled: bool
) -> dict[str, Any]:
    """The metadata of the scores file; `inputs` is the metadata about the inputs."""
    return {
        "nearest": options.nearest,
        "audit": audit and asdict(audit),
        "labelled_embeddings": with_labelled,
        "image_root": relative_to_file(options.images, options.out),
        "follow_links": options.follow_links,
        "input_shape": network.input_shape,
        "white": network.input_format.white,
        "classes": network.classes,
        "checkpoint_sha256": network.sha256,
        "estimator": options.estimator,
        "norm": options.norm,
        "seed": options.seed,
        **inputs,
        "dfal": __version__,
    }
