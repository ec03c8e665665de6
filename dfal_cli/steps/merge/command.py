"""merge: answered queries into labels.csv, losing nothing."""

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from dfal_cli.errors import TryAgainError, UsageError, shown
from dfal_cli.schemas import IMAGE, LABEL, LABELS_COLUMNS, SKIP, TWIN
from dfal_cli.steps.merge.answers import image_problems, images_under, read_answers
from dfal_cli.steps.merge.checks import check
from dfal_cli.steps.merge.classes import class_problems, known_classes, new_classes, warn_of_look_alikes
from dfal_cli.steps.merge.filling import filled_in, rebased, twins_of
from dfal_cli.steps.merge.options import MergeOptions
from dfal_cli.steps.merge.problems import Problem, refuse
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


def merge(options: MergeOptions, reporter: Reporter) -> Result:
    """Fill the answers of a query list into a labels file, atomically; merging it twice changes nothing.

    Raises UsageError, DataError or TryAgainError as the command documents; then nothing has been written.
    """
    check(options)
    target = options.target
    # First the lock: what is read is read when it is this call's turn.
    with contextlib.nullcontext() if options.dry_run else locked(target, options.wait, reporter.note):
        state = file_state(str(target))
        labels, dialect = _labels_before(options.labels)
        known = known_classes(options, labels)
        queries, where = read_answers(options, labels, known, reporter)
        answers = queries[~is_blank(queries[LABEL])]
        before = _labels_of(answers[IMAGE], labels)
        settled = ~is_blank(before)
        conflict = settled & (before != answers[LABEL])
        classes = new_classes(answers, known)
        problems = itertools.chain(
            image_problems(answers, set(labels[IMAGE]), images_under(options.root, follow_links=options.follow_links)),
            class_problems(options, classes, known, labels, where),
            _conflicts(options, answers, before, conflict),
        )
        refuse(problems, where)
        warn_of_look_alikes(classes, known, reporter)

        taken = ~settled | (conflict if options.on_conflict == "replace" else False)
        new = answers[taken].assign(**{TWIN: twins_of(options, answers[taken], reporter)})
        merged = filled_in(rebased(labels, options.labels, target), new)
        changes = _changes(new, before[taken])
        written = _must_write(options, merged, dialect, len(new)) and not options.dry_run
        if written:
            write_labels(target, merged, lambda: _check_unchanged(target, state), dialect)
    counts = {
        "merged": len(new),
        "skipped": int((new[LABEL] == SKIP).sum()),
        "unchanged": int((settled & ~conflict).sum()),
        "left": len(queries) - len(answers),
        "conflicts": int(conflict.sum()),
        "labelled": len(labelled_rows(merged)),
    }
    return Result(
        [] if options.dry_run else [target],
        _summary(counts, options),
        counts,
        {"classes": labelled_rows(merged)[LABEL].nunique()} | ({"changes": changes} if options.dry_run else {}),
        "dry run" if options.dry_run else ("done" if written else "up to date"),
    )


def _changes(new: pd.DataFrame, before: "pd.Series[str]") -> list[dict[str, str]]:
    """Each merged answer with the label that the image had before."""
    return [
        {IMAGE: image, "before": str(old), "after": label}
        for image, old, label in zip(new[IMAGE], before, new[LABEL], strict=True)
    ]


def _labels_before(path: Path) -> tuple[pd.DataFrame, Dialect]:
    """The labels so far, and how they are written; none if the file does not exist yet or is empty."""
    if not path.exists() or (path.is_file() and path.stat().st_size == 0):
        return pd.DataFrame({name: pd.Series(dtype=str) for name in LABELS_COLUMNS}), DFAL_DIALECT
    return read_labels(path), dialect_of(path)


def _labels_of(images: "pd.Series[str]", labels: pd.DataFrame) -> "pd.Series[str]":
    """What the images are labelled so far; "" where that is blank, or the image is not listed yet."""
    return labels.set_index(IMAGE)[LABEL].reindex(images, fill_value="").set_axis(images.index)


def _conflicts(
    options: MergeOptions, answers: pd.DataFrame, before: "pd.Series[str]", conflict: "pd.Series[bool]"
) -> Iterator[Problem]:
    for row in answers.index[conflict] if options.on_conflict == "error" else ():
        yield Problem(
            row,
            f"image {shown(answers[IMAGE][row])} is {shown(before[row])} in {options.labels} and "
            f"{shown(answers[LABEL][row])} here; nothing was merged. Choose with --on-conflict keep or replace",
        )


def _must_write(options: MergeOptions, merged: pd.DataFrame, dialect: Dialect, new: int) -> bool:
    """Whether the target does not hold the merged labels yet. Raises UsageError if another --out is in the way."""
    target = options.target
    if not target.exists():
        return True
    if target.resolve() == options.labels.resolve():
        return bool(new)
    if target.read_bytes() == csv_bytes(merged, dialect):
        return False
    if not options.force:
        raise UsageError(f"{target}: exists and holds other labels; --force replaces it")
    return True


def _check_unchanged(target: Path, state: FileState | None) -> None:
    """Other programs know nothing of dfal's locks: what they have written meanwhile must not be replaced unread."""
    if file_state(str(target)) != state:
        raise TryAgainError(
            f"{target}: another program has written it meanwhile; nothing was merged, run the same command again"
        )


def _summary(counts: dict[str, int], options: MergeOptions) -> str:
    kept = {"keep": " (kept as they were)", "replace": " (replaced)"}.get(options.on_conflict, "")
    return (
        f"{'would merge' if options.dry_run else 'merged'} {counts['merged']} ({counts['skipped']} of them __skip__), "
        f"{counts['unchanged']} merged before, {counts['left']} left unanswered, "
        f"{counts['conflicts']} in conflict{kept if counts['conflicts'] else ''}; "
        f"{counts['labelled']} images labelled in all"
    )
