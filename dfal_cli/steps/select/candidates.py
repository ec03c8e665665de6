"""Among which images `select` may choose: what is neither labelled nor excluded, nor gone since it was scored."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from dfal_cli.errors import DataError, EmptyPoolError, UsageError
from dfal_cli.images import ImageFolder, ImageSource
from dfal_cli.images.pool import find_pool, read_known_images, report_unread
from dfal_cli.schemas import EMBEDDING, IMAGE, LABEL, META_SUFFIX, SKIP, TWIN
from dfal_cli.steps.select.options import SelectOptions
from dfal_cli.strategies import STRATEGIES, Pool, Strategy, pick_queries
from dfal_cli.system.fingerprints import sha256_of
from dfal_cli.system.paths import folder_of
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import (
    ImageNames,
    ScoresFile,
    labelled_rows,
    metadata_matches_rows,
    read_labelled_embeddings,
    read_scores,
)


class Candidates(NamedTuple):
    """What may be picked, and what is known of it."""

    pool: Pool
    counts: dict[str, int]
    """How many images may not be picked: `labelled` (or __skip__), or `excluded`."""
    root: Path
    """The image root."""
    is_there: Callable[[str], bool]
    """Whether an image is there still."""
    metadata: dict[str, Any]
    """Of the scores file, or as far as it is known without one."""
    made_from: str
    """Changes whenever the scores do; "" if there are none."""
    certain: frozenset[str] | None = None
    """The images whose margins are the smallest for certain; None if there are no others."""


def find_candidates(options: SelectOptions, images: ImageSource | None, reporter: Reporter) -> Candidates:
    """The images that may be picked; `images` stand in for the image root.

    Raises UsageError or DataError as `select`.
    """
    if options.scores is not None:
        return _scored(options, options.scores, images, reporter)
    assert options.images is not None  # `check` has seen to it
    folder = ImageFolder(options.images, follow_links=options.follow_links)
    found = find_pool(images or folder, options.labels, options.exclude, reporter.warn)
    counts = found.counts | report_unread(options.images, found.listing, reporter)
    pool = Pool(pd.DataFrame({IMAGE: found.listing.images, TWIN: ""}))
    metadata = {"follow_links": options.follow_links}
    return Candidates(pool, counts, options.images, lambda image: True, metadata, "")


def pick(options: SelectOptions, candidates: Candidates) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The pool without what was found to be gone, and of it the picked rows, in rank order.

    Only what is picked is looked for, as a pool is large; where nothing that was picked is there, all of it is.
    Raises DataError if everything is gone, UsageError if the strategy looks at margins that are not certain.
    """
    pool = candidates.pool
    while len(pool.scores):
        picked = pick_queries(pool, options.strategy, options.count, options.seed)
        if (there := still_there(candidates, picked)).all():
            _check_certain(options, candidates, pool.scores)
            return pool.scores, picked
        gone = picked[~there] if there.any() else pool.scores[~still_there(candidates, pool.scores)]
        pool = pool._replace(scores=pool.scores[~pool.scores[IMAGE].isin(gone[IMAGE])].reset_index(drop=True))
    raise DataError(f"{candidates.root}: none of the images is there any more; name the image root with --images")


def still_there(candidates: Candidates, table: pd.DataFrame) -> "pd.Series[bool]":
    """Of which rows the images are there."""
    return table[IMAGE].map(candidates.is_there).astype(bool)


def _scored(options: SelectOptions, scores: Path, images: ImageSource | None, reporter: Reporter) -> Candidates:
    """The rows of the scores file that have not been labelled since, and are not excluded."""
    table, metadata = scored = _read(options, scores, reporter)
    root = options.images or Path(os.path.normpath(folder_of(scores) / metadata["image_root"]))
    follow_links = options.follow_links or metadata.get("follow_links", False)
    source = images or (ImageFolder(root, follow_links=follow_links) if root.is_dir() else None)
    if source is None:
        reporter.warn(
            f"{root}: no such folder, so images that are gone may be asked about; "
            f"--images names the image root of {scores}"
        )
    names = _names(root, source, table)
    taken = read_known_images(
        options.labels, options.exclude, names.matched(reporter.warn) if source else names.renamed
    )
    # Most of what is taken was so before scoring: what counts is whether the names in the tables are those of images.
    counts = taken.counts(filter(names.is_there, taken.answered | taken.excluded))
    is_taken = table[IMAGE].isin(taken.answered | taken.excluded)
    left = table[~is_taken].reset_index(drop=True)
    if left.empty:
        problem = f"{scores}: no image is left to ask about: all are labelled or excluded"
        raise EmptyPoolError(problem, counts)
    pool = Pool(left)
    if STRATEGIES[options.strategy].labelled:
        pool = Pool(left, _labelled_embeddings(scores, table, is_taken, taken.labels, reporter))
    made_from, told = metadata.get("made_from") or sha256_of(scores), metadata | {"follow_links": follow_links}
    return Candidates(pool, counts, root, _looker(source), told, made_from, _certain(scored))


def _looker(source: ImageSource | None) -> Callable[[str], bool]:
    """What tells whether anything of an image's name is there; where nobody can look, it is taken for granted."""
    if isinstance(source, ImageFolder):
        return lambda image: source.file_state(image) is not None
    return source.is_there if source else lambda image: True


def _read(options: SelectOptions, scores: Path, reporter: Reporter) -> ScoresFile:
    """The scores, with what the strategy needs of them. Raises UsageError if that is missing."""
    strategy = STRATEGIES[options.strategy]
    if not metadata_matches_rows(scores):
        reporter.warn(
            f"{scores}: not the rows that its {META_SUFFIX[1:]} was written with: changed since, or score was "
            "killed as it replaced them; score again to be sure"
        )
    scored = read_scores(scores, strategy.needs)
    missing = [measure for measure in strategy.needs if measure not in scored.table]
    if missing:
        raise UsageError(
            f"--strategy {options.strategy}: {scores} has no {' and no '.join(missing)}; "
            f"score with {_score_options(strategy, options.count)}"
        )
    return scored


def _names(root: Path, source: ImageSource | None, table: pd.DataFrame) -> ImageNames:
    """The names of the images that were scored, and of those that lie beside them."""
    scored = frozenset(table[IMAGE])
    if source is None:
        return ImageNames(root, scored.__contains__, lambda: scored)
    return ImageNames(
        root, lambda image: image in scored or source.is_there(image), lambda: scored.union(source.listing().images)
    )


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


def _certain(scored: ScoresFile) -> frozenset[str] | None:
    """The `score --nearest` images; None if no more have a margin, or all of them were asked for."""
    nearest = scored.metadata.get("nearest")
    if nearest is None:
        return None
    images = frozenset(scored.table.nsmallest(nearest, "margin")[IMAGE])
    return images if len(images) == nearest else None


def _check_certain(options: SelectOptions, candidates: Candidates, left: pd.DataFrame) -> None:
    """Beyond the images that were made certain, the smallest margins are not known."""
    strategy = STRATEGIES[options.strategy]
    if candidates.certain is None or not strategy.nearest:
        return
    still = int(left[IMAGE].isin(candidates.certain).sum())
    if strategy.nearest * options.count > still:
        raise UsageError(
            f"--count {options.count}: {options.scores} is certain of {still} nearest images only; "
            f"score with {_score_options(strategy, options.count)}, or without --nearest"
        )


def _score_options(strategy: Strategy, count: int) -> str:
    """What `score` must be told for so many queries."""
    nearest = [f"--nearest {strategy.nearest * count}"] if strategy.nearest else []
    return " ".join([f"--measure {measure}" for measure in strategy.needs] + nearest)
