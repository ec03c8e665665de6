"""select: which images to ask about next, from a scores file, without a network."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from dfal_cli.console import Reporter
from dfal_cli.errors import DataError, UsageError
from dfal_cli.files import locked, must_end_with, must_exist, relative_to_file
from dfal_cli.images import ImageFolder, ImageSource
from dfal_cli.pool import find_pool
from dfal_cli.result import Result, up_to_date
from dfal_cli.schemas import CROSSED, IMAGE, LABEL, PREDICTED, TWIN
from dfal_cli.strategies import STRATEGIES, pick_queries
from dfal_cli.tables import (
    ScoresFile,
    answers_in,
    number_texts,
    queries_table,
    read_excluded,
    read_labels_files,
    read_queries,
    read_scores,
    settled_images,
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
    seed: int = 0
    force: bool = False


def select(options: SelectOptions, reporter: Reporter, images: ImageSource | None = None) -> Result:
    """Write a query list, ranked, for a person to answer; `images` stand in for the folder `options.images`.

    Raises UsageError, DataError or TryAgainError as the command documents.
    """
    _check(options)
    scored = _scored_pool(options, images)
    if options.count > len(scored.table):
        reporter.warn(f"--count {options.count}: the pool has only {len(scored.table)} images, all are asked about")
    picked = pick_queries(scored.table, options.strategy, options.count, options.seed)
    queries = _as_queries(options, picked)
    with locked(options.out):
        outputs = [options.out, *([options.preview] if options.preview else [])]
        if not _may_write(options, queries):
            _write_preview(options, queries, picked, scored, reporter)
            return up_to_date(outputs)
        write_csv(options.out, queries)
        _write_preview(options, queries, picked, scored, reporter)
    counts = {"pool": len(scored.table), "queries": len(queries), "without_twin": int((queries[TWIN] == "").sum())}
    return Result(outputs, _summary(options, queries, picked, counts), counts, {"strategy": options.strategy})


def _check(options: SelectOptions) -> None:
    must_end_with(options.out, (".csv",), "--out")
    if options.preview:
        must_end_with(options.preview, (".html", ".htm"), "--preview")
        if options.preview.is_dir():
            raise UsageError(f"{options.preview}: is a folder, not a file (--preview)")
    if options.strategy not in STRATEGIES:
        raise UsageError(f"--strategy {options.strategy}: use one of {', '.join(STRATEGIES)}")
    if options.count < 1:
        raise UsageError(f"--count {options.count}: ask about at least one image")
    if (options.scores is None) == (options.images is None):
        raise UsageError("name either --scores, or --images with --strategy random when nothing is trained yet")
    if options.scores is None and options.strategy != "random":
        raise UsageError(f"--strategy {options.strategy} needs --scores; only random can pick from --images alone")


def _scored_pool(options: SelectOptions, images: ImageSource | None) -> ScoresFile:
    """The rows that may be picked: not labelled since they were scored, and not excluded."""
    if options.scores is None:
        assert options.images is not None  # _check has seen to it
        pool = find_pool(images or ImageFolder(options.images), options.labels, options.exclude)
        return ScoresFile(pd.DataFrame({IMAGE: pool, TWIN: ""}), {"image_root": str(options.images.absolute())})
    must_exist(options.scores, "--scores")
    scored = read_scores(options.scores)
    taken = settled_images(read_labels_files(options.labels)) | read_excluded(options.exclude)
    table = scored.table[[image not in taken for image in scored.table[IMAGE]]].reset_index(drop=True)
    if table.empty:
        raise DataError(f"{options.scores}: no image is left to ask about: all are labelled or excluded")
    _check_certain(options, scored, table)
    return ScoresFile(table, scored.metadata)


def _check_certain(options: SelectOptions, scored: ScoresFile, left: pd.DataFrame) -> None:
    """Beyond the `score --nearest` images that were made certain, the smallest margins are not known."""
    nearest = scored.metadata.get("nearest")
    if nearest is None or not STRATEGIES[options.strategy].nearest:
        return
    certain = scored.table.nsmallest(nearest, "margin")[IMAGE]
    still = int(certain.isin(left[IMAGE]).sum())
    if options.count > still and len(certain) == nearest:
        raise UsageError(
            f"--count {options.count}: {options.scores} is certain of {still} nearest images only; "
            f"score with --nearest {options.count}, or without it"
        )


def _as_queries(options: SelectOptions, picked: pd.DataFrame) -> pd.DataFrame:
    """The picked rows as text, with twins as seen from the query list."""
    strategy = STRATEGIES[options.strategy]
    further = [strategy.measure] if strategy.measure else []
    if options.with_predictions and PREDICTED in picked:
        further.append(PREDICTED)
    numbers = [name for name in ("margin", strategy.measure) if name is not None and name in picked]
    texts: dict[str, list[str]] = {name: number_texts(picked[name]) for name in numbers}
    if options.scores is not None:
        folder = options.scores.parent
        texts[TWIN] = [relative_to_file(folder / twin, options.out) if twin else "" for twin in picked[TWIN]]
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
    parts = [f"{counts['queries']} queries from a pool of {counts['pool']} by {options.strategy}"]
    if options.scores is not None and (queries[TWIN] != "").any():
        parts.append(f"{counts['without_twin']} of {counts['queries']} queries have no twin")
    if STRATEGIES[options.strategy].nearest:
        unknown = int((picked["outcome"] != CROSSED).sum())
        if unknown:
            parts.append(f"{unknown} of them have no known margin and come last")
    return "; ".join(parts)
