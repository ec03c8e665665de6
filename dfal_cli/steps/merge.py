"""merge: answered queries into labels.csv, losing nothing."""

import contextlib
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dfal_cli.class_names import NEAR, VERY_NEAR, folded, near_miss, slips
from dfal_cli.console import Reporter
from dfal_cli.errors import DataError, TryAgainError, UsageError, listed, shown
from dfal_cli.files import FileState, is_file, locked, stat_if_there
from dfal_cli.path_options import check_paths, must_end_with
from dfal_cli.relative import folder_of, relative_to_file
from dfal_cli.result import Result
from dfal_cli.schemas import IMAGE, LABEL, LABELS_COLUMNS, SKIP, TWIN
from dfal_cli.tables import (
    is_blank,
    labelled_rows,
    line_of,
    read_labels,
    read_queries,
    to_csv,
    write_labels,
)

ON_CONFLICT = ("error", "keep", "replace")


@dataclass(frozen=True)
class MergeOptions:
    """The options of `dfal merge`; their help stands in the command."""

    queries: Path
    labels: Path
    out: Path | None = None
    images: Path | None = None
    allow_new_classes: bool = False
    on_conflict: str = "error"
    dry_run: bool = False
    wait: float = 0.0
    force: bool = False


def merge(options: MergeOptions, reporter: Reporter) -> Result:
    """Fill the answers of a query list into a labels file, atomically; merging it twice changes nothing.

    Raises UsageError, DataError or TryAgainError as the command documents; then nothing has been written.
    """
    _check(options)
    target = options.out or options.labels
    # First the lock: what is read is read when it is this call's turn.
    with contextlib.nullcontext() if options.dry_run else locked(target, options.wait, reporter.note):
        state = stat_if_there(str(target))
        queries = read_queries(options.queries)
        answers = queries[~is_blank(queries[LABEL])]
        labels = _labels_before(options)
        _check_images(options, answers)
        _check_classes(options, answers, labels, reporter)
        known = labels.set_index(IMAGE)[LABEL].reindex(answers[IMAGE], fill_value="")
        before = known.set_axis(answers.index)  # "" where blank or not listed yet
        settled = ~is_blank(before)
        conflict = settled & (before != answers[LABEL])
        _check_conflicts(options, answers, before, conflict)

        taken = ~settled | (conflict if options.on_conflict == "replace" else False)
        new = answers[taken].assign(**{TWIN: _twins_seen_from(target, options, answers[taken], reporter)})
        merged = _filled_in(_rebased(labels, options.labels, target), new)
        changes = [
            {IMAGE: image, "before": str(old), "after": label}
            for image, old, label in zip(new[IMAGE], before[taken], new[LABEL], strict=True)
        ]
        written = _must_write(options, target, merged, len(new)) and not options.dry_run
        if written:
            write_labels(target, merged, lambda: _check_unchanged(target, state))
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
        {"changes": changes} if options.dry_run else {},
        "dry run" if options.dry_run else ("done" if written else "up to date"),
    )


def _check(options: MergeOptions) -> None:
    target, named = (options.out, "--out") if options.out else (options.labels, "--labels")
    must_end_with(target, (".csv",), named)
    check_paths({"--queries": [options.queries]}, {named: [target]}, {"--images": options.images})
    if options.on_conflict not in ON_CONFLICT:
        raise UsageError(f"--on-conflict {options.on_conflict}: use one of {', '.join(ON_CONFLICT)}")


def _labels_before(options: MergeOptions) -> pd.DataFrame:
    """The labels so far; none if the file does not exist yet or is empty."""
    if not options.labels.exists() or (options.labels.is_file() and options.labels.stat().st_size == 0):
        return pd.DataFrame({name: pd.Series(dtype=str) for name in LABELS_COLUMNS})
    return read_labels(options.labels)


def _check_images(options: MergeOptions, answers: pd.DataFrame) -> None:
    """With --images, an answer about an image that is not there is a slip worth stopping for."""
    if options.images is None:
        return
    for row, image in answers[IMAGE].items():
        if not is_file(options.images / image):
            windows = " (folders are parted by /)" if "\\" in image else ""
            raise DataError(f"{_line(options, row)}: image {shown(image)} is not under {options.images}{windows}")


def _check_classes(options: MergeOptions, answers: pd.DataFrame, labels: pd.DataFrame, reporter: Reporter) -> None:
    """A class nobody has used before is more often a typing slip than a discovery."""
    classes = set(labelled_rows(labels)[LABEL].unique())
    answered = answers.loc[answers[LABEL] != SKIP, LABEL].drop_duplicates()
    new = answered[~answered.isin(classes)]
    for row, label in new.items():
        if folded(label) == SKIP:
            raise DataError(f"{_line(options, row)}: {shown(label)}: did you mean {SKIP!r}? It is spelt exactly so")
        if classes and not options.allow_new_classes:
            known = near_miss(label, {*classes, SKIP}, NEAR) or f" beside {listed(sorted(classes))}"
            raise DataError(
                f"{_line(options, row)}: {shown(label)} is a new class{known}; correct it, or allow it with "
                "--allow-new-classes"
            )
    for slip in slips(new, classes or new, VERY_NEAR) if len(new) else ():
        reporter.warn(f"new {slip}")


def _line(options: MergeOptions, row: Hashable) -> str:
    """Where a row of the query list stands."""
    return f"{options.queries}, line {line_of(options.queries, int(str(row)))}"


def _check_conflicts(
    options: MergeOptions, answers: pd.DataFrame, before: "pd.Series[str]", conflict: "pd.Series[bool]"
) -> None:
    if options.on_conflict != "error" or not conflict.any():
        return
    row = answers.index[conflict][0]
    more = int(conflict.sum()) - 1
    raise DataError(
        f"{_line(options, row)}: image {shown(answers[IMAGE][row])} is {shown(before[row])} in "
        f"{options.labels} and {shown(answers[LABEL][row])} here{f', and {more} more like it' if more else ''}; "
        "nothing was merged. Choose with --on-conflict keep or replace"
    )


def _twins_seen_from(target: Path, options: MergeOptions, answers: pd.DataFrame, reporter: Reporter) -> list[str]:
    """The answers' twins as paths relative to `target`; "" for those that have none, or whose file is gone."""
    seen: list[str] = []
    missing = 0
    for twin in answers[TWIN]:
        places = (folder_of(file) / twin for file in (options.queries, options.labels) if twin)
        found = next((place for place in places if is_file(place)), None)
        missing += bool(twin) and found is None
        seen.append(relative_to_file(found, target) if found else "")
    if missing:
        reporter.warn(f"{missing} of {len(answers)} twins are missing; their labels are merged all the same")
    return seen


def _rebased(labels: pd.DataFrame, file: Path, target: Path) -> pd.DataFrame:
    """The labels with their twins as seen from another file's folder."""
    if folder_of(file) == folder_of(target):
        return labels
    twins = [relative_to_file(folder_of(file) / twin, target) if twin else "" for twin in labels[TWIN]]
    return labels.assign(**{TWIN: twins})


def _filled_in(labels: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """`labels` with the new answers: rows that exist are filled in where they stand, the others come after them."""
    places = pd.Index(labels[IMAGE]).get_indexer(pd.Index(new[IMAGE]))  # -1 where the image is not listed yet
    listed = places >= 0
    filled = labels.copy()
    filled.loc[places[listed], LABEL] = new.loc[listed, LABEL].to_numpy()
    with_twin = listed & (new[TWIN] != "").to_numpy()  # an answer without a twin does not take one away
    filled.loc[places[with_twin], TWIN] = new.loc[with_twin, TWIN].to_numpy()
    unlisted = new.loc[~listed, list(LABELS_COLUMNS)]
    merged: pd.DataFrame = pd.concat([filled, unlisted], ignore_index=True).fillna("")
    return merged


def _must_write(options: MergeOptions, target: Path, merged: pd.DataFrame, new: int) -> bool:
    """Whether the target does not hold the merged labels yet. Raises UsageError if another --out is in the way."""
    if not target.exists():
        return True
    if target.resolve() == options.labels.resolve():
        return bool(new)
    if target.read_bytes() == to_csv(merged).encode():
        return False
    if not options.force:
        raise UsageError(f"{target}: exists and holds other labels; --force replaces it")
    return True


def _check_unchanged(target: Path, state: FileState | None) -> None:
    """Other programs know nothing of dfal's locks: what they have written meanwhile must not be replaced unread."""
    if stat_if_there(str(target)) != state:
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
