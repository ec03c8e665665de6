"""select: which images to ask about next, from a scores file, without a network."""

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd

from dfal_cli.errors import UsageError
from dfal_cli.images import ImageSource
from dfal_cli.schemas import CROSSED, IMAGE, PREDICTED, PSEUDO_SUFFIX, TWIN
from dfal_cli.steps.result import Result, up_to_date
from dfal_cli.steps.select.asked import check_unchanged, keep_what_it_asks, made_from, stands_there, write_list
from dfal_cli.steps.select.candidates import Candidates, find_candidates, pick, still_there
from dfal_cli.steps.select.checks import check
from dfal_cli.steps.select.options import SelectOptions
from dfal_cli.strategies import STRATEGIES
from dfal_cli.system.files import beside, locked
from dfal_cli.system.fingerprints import file_state
from dfal_cli.system.paths import folder_of, relative_to_file
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import number_texts, pseudo_labels_table, queries_table, to_csv, write_csv


def select(options: SelectOptions, reporter: Reporter, images: ImageSource | None = None) -> Result:
    """Write a query list, ranked, for a person to answer; `images` stand in for the image root.

    Raises UsageError, DataError or TryAgainError as the command documents.
    """
    check(options)
    with contextlib.ExitStack() as locks:  # first: what is read is read when it is this call's turn
        for output in filter(None, (options.out, options.preview)):
            locks.enter_context(locked(output, options.wait, reporter.note))
        with reporter.busy("choosing"):
            candidates = find_candidates(options, images, reporter)
            pool, picked = pick(options, candidates)
        if options.count > len(pool):
            reporter.warn(f"--count {options.count}: the pool has only {len(pool)} images, all are asked about")
        queries = _as_queries(options, picked)
        shaped_by = made_from(options, candidates, queries)
        _check_preview(options)
        state = file_state(str(options.out))
        is_new = not stands_there(options, queries, shaped_by)
        # The list comes last: where it stands, all that belongs to it does.
        guesses, pseudo = beside(options.out, PSEUDO_SUFFIX), _pseudo_labels(options, candidates, pool, picked)
        # The page takes long, and a person may answer the list that is there meanwhile: then nothing is written.
        check_list = partial(check_unchanged, options.out, state) if is_new else None
        _write_preview(options, queries, picked, candidates, reporter, check_list)
        has_changed = _write_pseudo_labels(guesses, pseudo) or is_new
        if is_new:
            write_list(options.out, queries, state)
        keep_what_it_asks(options.out, shaped_by)
    outputs = [options.out, *([options.preview] if options.preview else []), *([] if pseudo is None else [guesses])]
    counts = {
        "pool": len(pool), **candidates.counts, "queries": len(queries),
        "without_twin": int((queries[TWIN] == "").sum()), "gone": len(candidates.pool.scores) - len(pool),
        **({} if pseudo is None else {"pseudo_labels": len(pseudo)}),
    }  # fmt: skip
    details = {"strategy": options.strategy}
    if not has_changed:
        return up_to_date(outputs, counts, details)
    return Result(outputs, _summary(options, queries, picked, counts), counts, details)


def _as_queries(options: SelectOptions, picked: pd.DataFrame) -> pd.DataFrame:
    """The picked rows as text, with twins as seen from the query list."""
    strategy = STRATEGIES[options.strategy]
    further = [strategy.measure] if strategy.measure else []
    if options.with_predictions and PREDICTED in picked:
        further.append(PREDICTED)
    numbers = [name for name in ("margin", strategy.measure) if name is not None and name in picked]
    texts: dict[str, list[str]] = {name: number_texts(picked[name]) for name in numbers}
    if options.scores is not None:
        folder = folder_of(options.scores)
        twins = [""] * len(picked) if strategy.without_twins else picked[TWIN]
        texts[TWIN] = [relative_to_file(folder / twin, options.out) if twin else "" for twin in twins]
    return queries_table(picked.assign(**texts), further)


def _check_preview(options: SelectOptions) -> None:
    """Raises UsageError if a page that is none of ours is in the way."""
    if options.preview is None or not options.preview.exists() or options.force:
        return
    from dfal_cli.pages.preview import is_preview

    if not is_preview(options.preview):
        raise UsageError(
            f"{options.preview}: exists and is not a page of dfal select; choose another --preview, "
            "or --force to replace it"
        )


def _pseudo_labels(
    options: SelectOptions, candidates: Candidates, pool: pd.DataFrame, picked: pd.DataFrame
) -> pd.DataFrame | None:
    """What is not asked about and the network is sure of, by path; None if the strategy gives no pseudo-labels."""
    label = STRATEGIES[options.strategy].pseudo_labels
    if label is None:
        return None
    others = pool[~pool[IMAGE].isin(picked[IMAGE])].sort_values(IMAGE)
    given = pseudo_labels_table(others[IMAGE], label(others, options.round))
    return given[still_there(candidates, given)]


def _write_pseudo_labels(path: Path, table: pd.DataFrame | None) -> bool:
    """Let just these stand there; whether they did not before."""
    if table is None:
        path.unlink(missing_ok=True)  # they went with a list by ceal
        return False
    if path.exists() and path.read_bytes() == to_csv(table).encode():
        return False
    write_csv(path, table)
    return True


def _write_preview(
    options: SelectOptions, queries: pd.DataFrame, picked: pd.DataFrame, candidates: Candidates, reporter: Reporter,
    check_list: Callable[[], None] | None,
) -> None:  # fmt: skip
    """Write the page, unless the one of this very list has more pictures than can be had now.

    check_list: of a new list, what is called at the last moment, and may raise.
    """
    if options.preview is None:
        return
    from dfal_cli.pages.preview import write_preview

    predicted = list(picked[PREDICTED]) if options.with_predictions and PREDICTED in picked else None
    unread, kept = write_preview(
        options.preview, options.out, queries, predicted, candidates.root, candidates.metadata, options.strategy,
        keep_better=check_list is None, check=check_list or (lambda: None),
    )  # fmt: skip
    if unread:
        reporter.warn(
            f"{options.preview}: {unread} of {len(queries)} images cannot be read under {candidates.root}"
            f"{', so the page is kept as it was' if kept else ''}; if they are elsewhere, name it with --images"
        )


def _summary(options: SelectOptions, queries: pd.DataFrame, picked: pd.DataFrame, counts: dict[str, int]) -> str:
    told = {"labelled": options.labels, "excluded": options.exclude}
    taken = ", ".join(f"{counts[name]} {name}" for name, files in told.items() if files)
    pool = f"{counts['pool']} ({taken})" if taken else counts["pool"]
    parts = [f"{counts['queries']} queries from a pool of {pool} by {options.strategy}"]
    if options.scores is not None and (queries[TWIN] != "").any():
        parts.append(f"{counts['without_twin']} of {counts['queries']} queries have no twin")
    if STRATEGIES[options.strategy].nearest:
        unknown = int((picked["outcome"] != CROSSED).sum())
        if unknown:
            parts.append(f"{unknown} of them have no known margin and come last")
    if counts["gone"]:
        parts.append(f"gone since they were scored, and left out: {counts['gone']}")
    if "pseudo_labels" in counts:
        parts.append(f"{counts['pseudo_labels']} others get pseudo-labels")
    return "; ".join(parts)
