"""select: which images to ask about next, from a scores file, without a network."""

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from dfal_cli.console import Reporter
from dfal_cli.errors import DataError, UsageError
from dfal_cli.files import beside, locked
from dfal_cli.images import ImageFolder, ImageSource
from dfal_cli.path_options import check_paths, must_end_with
from dfal_cli.pool import find_pool, find_taken, first_of
from dfal_cli.relative import folder_of, relative_to_file
from dfal_cli.result import Result, up_to_date
from dfal_cli.schemas import CROSSED, EMBEDDING, IMAGE, LABEL, META_SUFFIX, PREDICTED, PSEUDO_SUFFIX, SKIP, TWIN
from dfal_cli.strategies import STRATEGIES, Pool, Strategy, pick_queries
from dfal_cli.tables import (
    ImageNames,
    ScoresFile,
    answers_in,
    belong_together,
    labelled_rows,
    number_texts,
    pseudo_labels_table,
    queries_table,
    read_labelled_embeddings,
    read_queries,
    read_scores,
    refuse_foreign,
    to_csv,
    write_csv,
)


@dataclass(frozen=True)
class SelectOptions:
    """The options of `dfal select`; their help stands in the command."""

    count: int
    out: Path
    scores: Path | None = None
    images: Path | None = None
    labels: list[Path] = field(default_factory=list)
    strategy: str = "dfal"
    exclude: list[Path] = field(default_factory=list)
    preview: Path | None = None
    with_predictions: bool = False
    round: int = 0
    seed: int = 0
    wait: float = 0.0
    force: bool = False


class ScoredPool(NamedTuple):
    """What to pick from."""

    scores: ScoresFile
    """The rows that may be picked."""
    labelled: npt.NDArray[np.float32] | None
    """As of a Pool."""
    counts: dict[str, int]
    """How many images may not be picked: `labelled` (or __skip__), or `excluded`."""


def select(options: SelectOptions, reporter: Reporter, images: ImageSource | None = None) -> Result:
    """Write a query list, ranked, for a person to answer; `images` stand in for the folder `options.images`.

    Raises UsageError, DataError or TryAgainError as the command documents.
    """
    _check(options)
    with contextlib.ExitStack() as locks:  # first: what is read is read when it is this call's turn
        for output in filter(None, (options.out, options.preview)):
            locks.enter_context(locked(output, options.wait, reporter.note))
        scored, labelled, taken = _scored_pool(options, images, reporter)
        if options.count > len(scored.table):
            reporter.warn(f"--count {options.count}: the pool has only {len(scored.table)} images, all are asked about")
        picked = pick_queries(Pool(scored.table, labelled), options.strategy, options.count, options.seed)
        queries = _as_queries(options, picked)
        pseudo = _pseudo_labels(options, scored.table, picked)
        guesses = beside(options.out, PSEUDO_SUFFIX)
        _check_preview(options)
        new = _may_write(options, queries)
        if new:
            write_csv(options.out, queries)
        if new or pseudo is None:
            guesses.unlink(missing_ok=True)  # they went with a list by ceal
        if pseudo is not None and not _holds(guesses, pseudo):
            write_csv(guesses, pseudo)
            new = True
        _write_preview(options, queries, picked, scored, reporter)
    outputs = [options.out, *([options.preview] if options.preview else []), *([] if pseudo is None else [guesses])]
    if not new:
        return up_to_date(outputs)
    counts = {"pool": len(scored.table), **taken, "queries": len(queries)}
    counts |= {"without_twin": int((queries[TWIN] == "").sum())}
    counts |= {} if pseudo is None else {"pseudo_labels": len(pseudo)}
    return Result(outputs, _summary(options, queries, picked, counts), counts, {"strategy": options.strategy})


def _check(options: SelectOptions) -> None:
    must_end_with(options.out, (".csv",), "--out")
    if options.preview:
        must_end_with(options.preview, (".html", ".htm"), "--preview")
    check_paths(
        {"--scores": [options.scores], "--labels": options.labels, "--exclude": options.exclude},
        {"--out": [options.out, beside(options.out, PSEUDO_SUFFIX)], "--preview": [options.preview]},
    )
    if not options.force:
        refuse_foreign(options.out, (PSEUDO_SUFFIX,))
    if options.strategy not in STRATEGIES:
        raise UsageError(f"--strategy {options.strategy}: use one of {', '.join(STRATEGIES)}")
    if options.count < 1:
        raise UsageError(f"--count {options.count}: ask about at least one image")
    if (options.scores is None) == (options.images is None):
        raise UsageError("name either --scores, or --images with --strategy random when nothing is trained yet")
    if options.scores is None and options.strategy != "random":
        raise UsageError(f"--strategy {options.strategy} needs --scores; only random can pick from --images alone")


def _scored_pool(options: SelectOptions, images: ImageSource | None, reporter: Reporter) -> ScoredPool:
    """The rows that may be picked: not labelled since they were scored, and not excluded."""
    if options.scores is None:
        assert options.images is not None  # _check has seen to it
        source = images or ImageFolder(options.images)
        found = find_pool(source, options.labels, options.exclude, reporter.warn)
        if found.listing.unreadable:
            reporter.warn(f"{options.images}: {first_of(found.listing.unreadable)}")
        pool = pd.DataFrame({IMAGE: found.listing.images, TWIN: ""})
        return ScoredPool(ScoresFile(pool, {"image_root": str(options.images.absolute())}), None, found.counts)
    strategy = STRATEGIES[options.strategy]
    if not belong_together(options.scores):
        reporter.warn(
            f"{options.scores}: not the rows that its {META_SUFFIX[1:]} was written with: changed since, or score was "
            "killed as it replaced them; score again to be sure"
        )
    scored = read_scores(options.scores, strategy.needs)
    missing = [measure for measure in strategy.needs if measure not in scored.table]
    if missing:
        raise UsageError(
            f"--strategy {options.strategy}: {options.scores} has no {' and no '.join(missing)}; "
            f"score with {_score_options(strategy, options.count)}"
        )
    names = ImageNames(options.scores, set(scored.table[IMAGE]).__contains__, lambda: scored.table[IMAGE])
    taken = find_taken(options.labels, options.exclude, names.renamed)
    is_taken = scored.table[IMAGE].isin(taken.settled | taken.excluded)
    table = scored.table[~is_taken].reset_index(drop=True)
    if table.empty:
        raise DataError(f"{options.scores}: no image is left to ask about: all are labelled or excluded")
    _check_certain(options, scored, table)
    embeddings = None
    if strategy.labelled:
        embeddings = _labelled_embeddings(options.scores, scored.table, is_taken, taken.labels, reporter)
    return ScoredPool(ScoresFile(table, scored.metadata), embeddings, taken.counts(scored.table[IMAGE]))


def _labelled_embeddings(
    scores: Path, table: pd.DataFrame, taken: "pd.Series[bool]", labels: pd.DataFrame, reporter: Reporter
) -> npt.NDArray[np.float32]:
    """Embeddings, (m, d), of what need not be asked about: labelled before scoring, and the rows that are `taken`.

    An image that is in a list still being answered is as good as labelled; one that is __skip__ teaches nothing.
    """
    known = table.loc[taken, [IMAGE, EMBEDDING]]
    before = read_labelled_embeddings(scores)
    if before is not None:
        images, embeddings = before
        known = pd.concat([pd.DataFrame({IMAGE: images, EMBEDDING: list(embeddings)}), known]).drop_duplicates(IMAGE)
    missing = int((~labelled_rows(labels)[IMAGE].isin(known[IMAGE])).sum())
    if missing:
        reporter.warn(f"{missing} labelled images have no embedding: they were not labelled when {scores} was scored")
    known = known[~known[IMAGE].isin(labels.loc[labels[LABEL] == SKIP, IMAGE])]
    vectors: npt.NDArray[np.float32] = np.array(known[EMBEDDING].to_list(), np.float32)
    vectors = vectors.reshape(len(known), len(table[EMBEDDING][0]))
    return vectors[np.flatnonzero(np.isfinite(vectors).all(1))]


def _check_certain(options: SelectOptions, scored: ScoresFile, left: pd.DataFrame) -> None:
    """Beyond the `score --nearest` images that were made certain, the smallest margins are not known."""
    nearest = scored.metadata.get("nearest")
    each = STRATEGIES[options.strategy].nearest
    if nearest is None or not each:
        return
    certain = scored.table.nsmallest(nearest, "margin")[IMAGE]
    still = int(certain.isin(left[IMAGE]).sum())
    if each * options.count > still and len(certain) == nearest:
        raise UsageError(
            f"--count {options.count}: {options.scores} is certain of {still} nearest images only; "
            f"score with {_score_options(STRATEGIES[options.strategy], options.count)}, or without --nearest"
        )


def _score_options(strategy: Strategy, count: int) -> str:
    """What `score` must be told for so many queries."""
    nearest = [f"--nearest {strategy.nearest * count}"] if strategy.nearest else []
    return " ".join([f"--measure {measure}" for measure in strategy.needs] + nearest)


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


def _may_write(options: SelectOptions, queries: pd.DataFrame) -> bool:
    """Whether the query list is to be written: False if it stands there already, answered or not.

    Raises UsageError if another list is in the way. One that holds answers is never overwritten.
    """
    if not options.out.exists():
        return True
    before = read_queries(options.out)
    if to_csv(before.assign(**{LABEL: ""})) == to_csv(queries):
        return False
    answers = answers_in(before)
    if answers:
        raise UsageError(
            f"{options.out}: holds {answers} answers and is not overwritten; merge it, or name another --out"
        )
    if not options.force:
        raise UsageError(f"{options.out}: exists and holds other queries; --force replaces it")
    return True


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


def _pseudo_labels(options: SelectOptions, pool: pd.DataFrame, picked: pd.DataFrame) -> pd.DataFrame | None:
    """What is not asked about and the network is sure of, by path; None if the strategy gives no pseudo-labels."""
    label = STRATEGIES[options.strategy].pseudo_labels
    if label is None:
        return None
    others = pool[~pool[IMAGE].isin(picked[IMAGE])].sort_values(IMAGE)
    return pseudo_labels_table(others[IMAGE], label(others, options.round))


def _holds(path: Path, table: pd.DataFrame) -> bool:
    return path.exists() and path.read_bytes() == to_csv(table).encode()


def _write_preview(
    options: SelectOptions, queries: pd.DataFrame, picked: pd.DataFrame, scored: ScoresFile, reporter: Reporter
) -> None:
    if options.preview is None:
        return
    from dfal_cli.pages.preview import write_preview

    predicted = list(picked[PREDICTED]) if options.with_predictions and PREDICTED in picked else None
    unread = write_preview(options.preview, options.out, queries, predicted, scored.metadata, options.strategy)
    if unread:
        root = scored.metadata["image_root"]
        reporter.warn(f"{options.preview}: {unread} of {len(queries)} images cannot be read; they were under {root}")


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
    if "pseudo_labels" in counts:
        parts.append(f"{counts['pseudo_labels']} others get pseudo-labels")
    return "; ".join(parts)
