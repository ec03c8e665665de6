"""select: choose the images to label next, from a scores file and without a network."""

import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from dfal_cli.errors import UsageError, plural
from dfal_cli.images import ImageSource
from dfal_cli.images.pool import pool_in_words
from dfal_cli.schemas import CONTROL, CROSSED, IMAGE, PIXEL_SPACE, PREDICTED, PSEUDO_SUFFIX, TWIN
from dfal_cli.steps.query_files import check_unchanged, write_list
from dfal_cli.steps.result import Result, up_to_date
from dfal_cli.steps.select.candidates import Candidates, images_exist, pick
from dfal_cli.steps.select.checks import check
from dfal_cli.steps.select.first_list import embedded_candidates, listed_candidates
from dfal_cli.steps.select.options import SelectOptions
from dfal_cli.steps.select.query_list import is_up_to_date, list_inputs, write_metadata
from dfal_cli.steps.select.scored import scored_candidates
from dfal_cli.steps.select.stopping import check_stopping
from dfal_cli.strategies import STRATEGIES
from dfal_cli.system.files import beside, locked
from dfal_cli.system.fingerprints import file_state
from dfal_cli.system.paths import folder_of, relative_to_file
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import (
    number_texts,
    pseudo_labels_table,
    queries_table,
    read_scores_metadata,
    to_csv,
    write_csv,
)
from dfal_cli.tables.class_keys import ClassKeys
from dfal_cli.tables.control import control_in_words, is_control


def select(options: SelectOptions, reporter: Reporter, images: ImageSource | None = None) -> Result:
    """Write a ranked query list for a person to answer; `images` replace the image root, if given.

    Raises UsageError, DataError or TryAgainError, as documented for the command.
    """
    check(options)
    with contextlib.ExitStack() as locks:  # taken before anything is read
        for output in filter(None, (options.out, options.preview)):
            # A page is always written again.
            may_be_complete = options.preview is None
            locks.enter_context(locked(output, options.wait, reporter.note, may_be_complete=may_be_complete))
        options = options.with_strategy(_space(options))
        with reporter.busy("selecting"):
            candidates = _find_candidates(options, images, reporter)
            check_stopping(options)
            pool, picked = pick(options, candidates)
        if options.count > len(pool):
            reporter.warn(
                f"--count {options.count}: the pool has only {len(pool)} {plural(len(pool), 'image')}; "
                "the list contains the whole pool"
            )
        queries = _as_queries(options, picked)
        inputs = list_inputs(options, candidates, queries)
        _check_preview(options)
        state = file_state(str(options.out))
        is_new = not is_up_to_date(options, queries, inputs)
        # A person may answer the existing list while the page is being written; nothing is overwritten then.
        check_list = partial(check_unchanged, options.out, state) if is_new else None
        _write_preview(options, queries, picked, candidates, reporter, check_list)
        pseudo_path = beside(options.out, PSEUDO_SUFFIX)
        pseudo_labels = _pseudo_labels(options, candidates, pool, picked)
        has_changed = _write_pseudo_labels(pseudo_path, pseudo_labels) or is_new
        if is_new:  # the list is written last: its existence means that the round is complete
            write_list(options.out, queries, state)
        write_metadata(options, inputs)
    outputs = [options.out, *([options.preview] if options.preview else [])]
    counts = {
        "pool": len(pool), **candidates.counts, "queries": len(queries),
        "without_twin": _without_twin(queries), "gone": len(candidates.pool.scores) - len(pool),
    }  # fmt: skip
    if options.control:
        counts["control"] = int(is_control(queries).sum())
    if pseudo_labels is not None:
        outputs.append(pseudo_path)
        counts["pseudo_labels"] = len(pseudo_labels)
    details = {"strategy": options.strategy}
    if not has_changed:
        return up_to_date(outputs, counts, details)
    return Result(outputs, _summary(options, queries, picked, counts), counts, details)


def _space(options: SelectOptions) -> str | None:
    """The space of the margins; None without scores. Raises UsageError or DataError if the scores cannot be read."""
    if options.scores is None:
        return None
    space: str = read_scores_metadata(options.scores).get("space", PIXEL_SPACE)
    return space


def _find_candidates(options: SelectOptions, images: ImageSource | None, reporter: Reporter) -> Candidates:
    if options.scores is not None:
        return scored_candidates(options, options.scores, images, reporter)
    if options.embeddings is not None:
        return embedded_candidates(options, options.embeddings, images, reporter)
    assert options.images is not None  # guaranteed by `check`
    return listed_candidates(options, options.images, images, reporter)


def _as_queries(options: SelectOptions, picked: pd.DataFrame) -> pd.DataFrame:
    """The picked rows as text, with twin paths relative to the query list."""
    strategy = STRATEGIES[options.strategy]
    extra_columns = [strategy.measure] if strategy.measure else []
    if options.with_predictions and PREDICTED in picked:
        extra_columns.append(PREDICTED)
    if options.control:
        extra_columns.append(CONTROL)
    numbers = [name for name in ("margin", strategy.measure) if name is not None and name in picked]
    texts: dict[str, list[str]] = {name: number_texts(picked[name]) for name in numbers}
    if options.scores is not None:
        folder = folder_of(options.scores)
        twins = [""] * len(picked) if strategy.without_twins else picked[TWIN]
        texts[TWIN] = [relative_to_file(folder / twin, options.out) if twin else "" for twin in twins]
    return queries_table(picked.assign(**texts), extra_columns)


def _check_preview(options: SelectOptions) -> None:
    """Raise UsageError if the preview would overwrite a file that dfal did not write."""
    if options.preview is None or not options.preview.exists() or options.force:
        return
    from dfal_cli.pages.preview import is_preview

    if not is_preview(options.preview):
        raise UsageError(
            f"{options.preview}: exists and is not a preview page of dfal; choose another --preview, "
            "or use --force to overwrite it"
        )


def _pseudo_labels(
    options: SelectOptions, candidates: Candidates, pool: pd.DataFrame, picked: pd.DataFrame
) -> pd.DataFrame | None:
    """Pseudo-labels of the images that were not picked, sorted by path; None if the strategy assigns none."""
    assign = STRATEGIES[options.strategy].pseudo_labels
    if assign is None:
        return None
    others = pool[~pool[IMAGE].isin(picked[IMAGE])].sort_values(IMAGE)
    table = pseudo_labels_table(others[IMAGE], assign(others, options.round))
    return table[images_exist(candidates, table)]


def _write_pseudo_labels(path: Path, table: pd.DataFrame | None) -> bool:
    """Write the pseudo-labels, or remove those of an earlier list; return whether the file was written."""
    if table is None:
        if path.exists():  # on a read-only disk, even removing nothing fails
            path.unlink(missing_ok=True)
        return False
    if path.exists() and path.read_bytes() == to_csv(table).encode():
        return False
    write_csv(path, table)
    return True


def _write_preview(
    options: SelectOptions, queries: pd.DataFrame, picked: pd.DataFrame, candidates: Candidates, reporter: Reporter,
    check_list: Callable[[], None] | None,
) -> None:  # fmt: skip
    """Write the page, unless the existing page of the same list shows images that cannot be read any more.

    check_list: for a new list, a function called just before the page is replaced; it may raise.
    """
    if options.preview is None:
        return
    if candidates.root is None:
        raise UsageError(
            f"--preview: {options.scores or options.embeddings} does not say where its images are; "
            "set the image root with --images"
        )
    from dfal_cli.pages.preview import write_preview

    unread, kept = write_preview(
        options.preview, options.out, queries, picked if options.with_predictions else None, candidates.root,
        candidates.metadata, options.strategy, keys=_class_keys(options, candidates),
        keep_better=check_list is None, check=check_list or (lambda: None),
    )  # fmt: skip
    if unread:
        reporter.warn(
            f"{options.preview}: {unread} of {len(queries)} images cannot be read under {candidates.root}"
            f"{', so the existing page is kept' if kept else ''}; if they have moved, set the image root with --images"
        )


def _class_keys(options: SelectOptions, candidates: Candidates) -> Mapping[str, str]:
    """Store the keys of the classes, so that the labelling page and later rounds have the same, and return them."""
    keys = ClassKeys(options.keys_file)
    keys.add([*(options.class_names or ()), *candidates.classes])
    return keys.in_order


def _without_twin(queries: pd.DataFrame) -> int:
    """The number of queries that lack a twin; random ones need none."""
    return int(((queries[TWIN] == "") & ~is_control(queries)).sum())


def _summary(options: SelectOptions, queries: pd.DataFrame, picked: pd.DataFrame, counts: dict[str, int]) -> str:
    queried = f"{counts['queries']} {plural(counts['queries'], 'query', 'queries')}"
    pool = pool_in_words(counts, options.labels, options.exclude)
    parts = [f"{queried} from {pool}, strategy {options.strategy}"]
    if options.control:
        parts.append(control_in_words(counts["control"]))
    if options.scores is not None and (queries[TWIN] != "").any():
        parts.append(f"{counts['without_twin']} without a twin")
    if STRATEGIES[options.strategy].nearest:
        unknown = int(((picked["outcome"] != CROSSED) & ~is_control(picked)).sum())
        if unknown:
            parts.append(f"{unknown} without a known margin, listed last")
    if counts["gone"]:
        parts.append(f"{counts['gone']} left out, deleted since they were scored")
    if "pseudo_labels" in counts:
        parts.append(f"pseudo-labels for {counts['pseudo_labels']} other {plural(counts['pseudo_labels'], 'image')}")
    return "; ".join(parts)
