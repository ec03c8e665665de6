"""merge: copy the answers of a query list into labels.csv."""

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from dfal_cli.errors import TryAgainError, UsageError, plural, shown
from dfal_cli.schemas import IMAGE, LABEL, LABELS_COLUMNS, SKIP, TWIN
from dfal_cli.steps.merge.answers import image_problems, image_root, images_under, read_answers
from dfal_cli.steps.merge.checks import check
from dfal_cli.steps.merge.classes import class_problems, known_classes, new_classes, warn_of_similar_classes
from dfal_cli.steps.merge.labels_table import check_control_column, filled_in, rebased, twins_of
from dfal_cli.steps.merge.missing import LEAVE_OUT, without_missing_images
from dfal_cli.steps.merge.options import MergeOptions
from dfal_cli.steps.merge.problems import Problem, raise_first
from dfal_cli.steps.result import Result
from dfal_cli.system.files import locked
from dfal_cli.system.fingerprints import FileState, file_state
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import (
    DFAL_DIALECT,
    Dialect,
    csv_bytes,
    dialect_of,
    is_blank,
    labelled_rows,
    read_labels,
    write_labels,
)


class Comparison(NamedTuple):
    """The answers of a query list beside the labels their images had before. All columns share one index."""

    answers: pd.DataFrame
    before: "pd.Series[str]"
    """"" for an image without a label."""
    labelled: "pd.Series[bool]"
    conflicting: "pd.Series[bool]"


def merge(options: MergeOptions, reporter: Reporter) -> Result:
    """Merge the answers of a query list into a labels file, atomically. Merging the same list again changes nothing.

    Raises UsageError, DataError or TryAgainError, as documented for the command; nothing is written then.
    """
    check(options)
    target = options.target
    # Take the lock before reading, so that no other dfal command changes the labels in between.
    with contextlib.nullcontext() if options.dry_run else locked(target, options.wait, reporter.note):
        state = file_state(str(target))
        labels, dialect = _read_labels(options.labels)
        known = known_classes(options, labels)
        listed, location = read_answers(options, labels, known, reporter)
        names = images_under(image_root(options), follow_links=options.follow_links)
        queries = without_missing_images(options, listed, labels, names, reporter)
        check_control_column(labels, options.labels, queries)
        comparison = _compare(queries[~is_blank(queries[LABEL])], labels)
        classes = new_classes(comparison.answers, known)
        problems = itertools.chain(
            image_problems(comparison.answers, set(labels[IMAGE]), names),
            class_problems(options, classes, known, labels, location),
            _conflict_problems(options, comparison),
        )
        raise_first(problems, location)
        warn_of_similar_classes(classes, known, reporter)

        is_new = ~comparison.labelled | (comparison.conflicting if options.against_labels == "replace" else False)
        new = comparison.answers[is_new]
        new = new.assign(**{TWIN: twins_of(options, new, reporter)})
        merged = filled_in(rebased(labels, options.labels, target), new)
        must_write = _must_write(options, merged, dialect, len(new)) and not options.dry_run
        if must_write:
            write_labels(target, merged, lambda: _check_unchanged(target, state), dialect)
    counts = _counts(queries, comparison, new, merged)
    if options.on_missing == LEAVE_OUT:
        counts["missing"] = len(listed) - len(queries)
    details: dict[str, Any] = {"classes": labelled_rows(merged)[LABEL].nunique()}
    if options.dry_run:
        details["changes"] = _changes(new, comparison.before[is_new])
        return Result([], _summary(counts, options), counts, details, "dry run")
    return Result([target], _summary(counts, options), counts, details, "done" if must_write else "up to date")


def _read_labels(path: Path) -> tuple[pd.DataFrame, Dialect]:
    """The labels so far and the CSV dialect of their file; an empty table if the file is missing or empty."""
    if not path.exists() or (path.is_file() and path.stat().st_size == 0):
        return pd.DataFrame({name: pd.Series(dtype=str) for name in LABELS_COLUMNS}), DFAL_DIALECT
    return read_labels(path), dialect_of(path)


def _compare(answers: pd.DataFrame, labels: pd.DataFrame) -> Comparison:
    images = answers[IMAGE]
    before = labels.set_index(IMAGE)[LABEL].reindex(images, fill_value="").set_axis(images.index)
    labelled = ~is_blank(before)
    return Comparison(answers, before, labelled, labelled & (before != answers[LABEL]))


def _conflict_problems(options: MergeOptions, comparison: Comparison) -> Iterator[Problem]:
    if options.against_labels != "error":
        return
    answers, before = comparison.answers, comparison.before
    for row in answers.index[comparison.conflicting]:
        yield Problem(
            row,
            f"image {shown(answers[IMAGE][row])} is {shown(before[row])} in {options.labels} and "
            f"{shown(answers[LABEL][row])} here; nothing was merged. Choose with --on-conflict keep or replace",
        )


def _must_write(options: MergeOptions, merged: pd.DataFrame, dialect: Dialect, new: int) -> bool:
    """Whether the output differs from the merged labels. Raises UsageError if --out holds other labels."""
    target = options.target
    if not target.exists():
        return True
    if target.resolve() == options.labels.resolve():
        return bool(new)
    if target.read_bytes() == csv_bytes(merged, dialect):
        return False
    if not options.force:
        raise UsageError(f"{target}: exists and holds other labels; use --force to overwrite it")
    return True


def _check_unchanged(target: Path, state: FileState | None) -> None:
    """Raise TryAgainError if the file has changed since it was read: other programs do not respect dfal's locks."""
    if file_state(str(target)) != state:
        raise TryAgainError(
            f"{target}: another program changed the file; nothing was merged, run the same command again"
        )


def _counts(queries: pd.DataFrame, comparison: Comparison, new: pd.DataFrame, merged: pd.DataFrame) -> dict[str, int]:
    return {
        "merged": len(new),
        "skipped": int((new[LABEL] == SKIP).sum()),
        "unchanged": int((comparison.labelled & ~comparison.conflicting).sum()),
        "left": len(queries) - len(comparison.answers),
        "conflicts": int(comparison.conflicting.sum()),
        "labelled": len(labelled_rows(merged)),
    }


def _changes(new: pd.DataFrame, before: "pd.Series[str]") -> list[dict[str, str]]:
    """Each merged answer with the previous label of its image."""
    return [
        {IMAGE: image, "before": str(old), "after": label}
        for image, old, label in zip(new[IMAGE], before, new[LABEL], strict=True)
    ]


def _summary(counts: dict[str, int], options: MergeOptions) -> str:
    resolution = {"keep": " (labels kept)", "replace": " (labels replaced)"}.get(options.against_labels, "")
    missing = f", {counts['missing']} left out (no such image)" if counts.get("missing") else ""
    return (
        f"{'would merge' if options.dry_run else 'merged'} {counts['merged']} ({counts['skipped']} of them __skip__), "
        f"{counts['unchanged']} merged before, {counts['left']} left unanswered, "
        f"{counts['conflicts']} in conflict{resolution if counts['conflicts'] else ''}{missing}; "
        f"{counts['labelled']} {plural(counts['labelled'], 'image')} labelled in total"
    )
