"""The images `select` may choose from: neither labelled, nor excluded, nor deleted since they were scored."""

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
    """The images to choose from, and how they were found."""

    pool: Pool
    counts: dict[str, int]
    """Number of images left out: `labelled` (including __skip__) and `excluded`."""
    root: Path | None
    """The image root; None if it is unknown."""
    exists: Callable[[str], bool]
    """Whether an image still exists."""
    metadata: dict[str, Any]
    """Metadata of the scores file; without scores, what is known without them."""
    scores_id: str
    """Identifies the contents of the scores file; "" without one."""
    certain: frozenset[str] | None = None
    """Images whose margins are certainly the smallest; None if all margins were computed."""


def find_candidates(options: SelectOptions, images: ImageSource | None, reporter: Reporter) -> Candidates:
    """The images to choose from; `images` replace the image root, if given.

    Raises UsageError or DataError as `select`.
    """
    if options.scores is not None:
        return _scored(options, options.scores, images, reporter)
    assert options.images is not None  # guaranteed by `check`
    folder = ImageFolder(options.images, follow_links=options.follow_links)
    found = find_pool(images or folder, options.labels, options.exclude, reporter.warn)
    counts = found.counts | report_unread(options.images, found.listing, reporter)
    pool = Pool(pd.DataFrame({IMAGE: found.listing.images, TWIN: ""}))
    metadata = {"follow_links": options.follow_links}
    return Candidates(pool, counts, options.images, lambda image: True, metadata, "")


def pick(options: SelectOptions, candidates: Candidates) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The pool without the images found to be missing, and the picked rows in rank order.

    A pool may be large: only picked images are looked for on disk, and the whole pool only if all of them are missing.
    Raises DataError if all images are missing, UsageError if the strategy needs margins that were not computed.
    """
    pool = candidates.pool
    while len(pool.scores):
        picked = pick_queries(pool, options.strategy, options.count, options.seed)
        if (found := images_exist(candidates, picked)).all():
            _check_certain(options, candidates, pool.scores)
            return pool.scores, picked
        missing = picked[~found] if found.any() else pool.scores[~images_exist(candidates, pool.scores)]
        pool = pool._replace(scores=pool.scores[~pool.scores[IMAGE].isin(missing[IMAGE])].reset_index(drop=True))
    raise DataError(f"{candidates.root}: none of the images exist any more; set the image root with --images")


def images_exist(candidates: Candidates, table: pd.DataFrame) -> "pd.Series[bool]":
    """Whether the image of each row still exists."""
    return table[IMAGE].map(candidates.exists).astype(bool)


def _scored(options: SelectOptions, scores: Path, images: ImageSource | None, reporter: Reporter) -> Candidates:
    """The rows of the scores file that have not been labelled since and are not excluded."""
    table, metadata = scored = _read(options, scores, reporter)
    root = options.images or _image_root(scores, metadata)
    follow_links = options.follow_links or metadata.get("follow_links", False)
    source = images or (ImageFolder(root, follow_links=follow_links) if root and root.is_dir() else None)
    if source is None:
        problem = f"{root}: no such folder" if root else f"{scores}: does not say where its images are"
        reporter.warn(
            f"{problem}, so the list may contain deleted images; set the image root of {scores} with --images"
        )
    names = _names(root or scores, source, table)
    known = read_known_images(
        options.labels, options.exclude, names.matched(reporter.warn) if source else names.renamed
    )
    # Most of these images were left out of the scores already: count those that exist, whether scored or not.
    counts = known.counts(filter(names.is_there, known.answered | known.excluded))
    is_left_out = table[IMAGE].isin(known.answered | known.excluded)
    left = table[~is_left_out].reset_index(drop=True)
    if left.empty:
        raise EmptyPoolError(f"{scores}: no images are left to ask about: all are labelled or excluded", counts)
    pool = Pool(left)
    if STRATEGIES[options.strategy].labelled:
        pool = Pool(left, _labelled_embeddings(scores, table, is_left_out, known.labels, reporter))
    metadata = metadata | {"follow_links": follow_links}
    scores_id = metadata.get("made_from") or sha256_of(scores)
    return Candidates(pool, counts, root, _existence_test(source), metadata, scores_id, _certain(scored))


def _image_root(scores: Path, metadata: dict[str, Any]) -> Path | None:
    """The image root of a scores file; None if it is unknown, as it may be for embeddings of another program."""
    if metadata["image_root"] is None:
        return None
    return Path(os.path.normpath(folder_of(scores) / metadata["image_root"]))


def _existence_test(source: ImageSource | None) -> Callable[[str], bool]:
    """A function that returns whether an image exists; without a source, all images are assumed to exist."""
    if isinstance(source, ImageFolder):
        return lambda image: source.file_state(image) is not None
    return source.is_there if source else lambda image: True


def _read(options: SelectOptions, scores: Path, reporter: Reporter) -> ScoresFile:
    """The scores with the measures the strategy needs. Raises UsageError if one is missing."""
    strategy = STRATEGIES[options.strategy]
    if not metadata_matches_rows(scores):
        reporter.warn(
            f"{scores}: does not match its {META_SUFFIX[1:]}: the file was changed, or score was killed while writing "
            "it; score again to be sure"
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
    """The names of the scored images and of the other images under the root."""
    scored = frozenset(table[IMAGE])
    if source is None:
        return ImageNames(root, scored.__contains__, lambda: scored)
    return ImageNames(
        root, lambda image: image in scored or source.is_there(image), lambda: scored.union(source.listing().images)
    )


def _labelled_embeddings(
    scores: Path, table: pd.DataFrame, is_left_out: "pd.Series[bool]", labels: pd.DataFrame, reporter: Reporter
) -> npt.NDArray[np.float32]:
    """Embeddings, (m, d), of the images labelled before scoring and of the scored images labelled or excluded since.

    Excluded images count as labelled, because they may be in a list still being answered. Skipped images do not.
    """
    known = table.loc[is_left_out, [IMAGE, EMBEDDING]]
    before = read_labelled_embeddings(scores)
    if before is not None:
        images, embeddings = before
        known = pd.concat([pd.DataFrame({IMAGE: images, EMBEDDING: list(embeddings)}), known]).drop_duplicates(IMAGE)
    missing = int((~labelled_rows(labels)[IMAGE].isin(known[IMAGE])).sum())
    if missing:
        reporter.warn(f"{missing} labelled images have no embedding: they were not labelled when {scores} was made")
    known = known[~known[IMAGE].isin(labels.loc[labels[LABEL] == SKIP, IMAGE])]
    vectors: npt.NDArray[np.float32] = np.array(known[EMBEDDING].to_list(), np.float32)
    vectors = vectors.reshape(len(known), len(table[EMBEDDING][0]))
    return vectors[np.flatnonzero(np.isfinite(vectors).all(1))]


def _certain(scored: ScoresFile) -> frozenset[str] | None:
    """The images of the `score --nearest` margins; None if all margins were computed, or fewer images crossed."""
    nearest = scored.metadata.get("nearest")
    if nearest is None:
        return None
    images = frozenset(scored.table.nsmallest(nearest, "margin")[IMAGE])
    return images if len(images) == nearest else None


def _check_certain(options: SelectOptions, candidates: Candidates, left: pd.DataFrame) -> None:
    """Raise UsageError if the strategy needs more of the smallest margins than `score --nearest` computed."""
    strategy = STRATEGIES[options.strategy]
    if candidates.certain is None or not strategy.nearest:
        return
    remaining = int(left[IMAGE].isin(candidates.certain).sum())
    if strategy.nearest * options.count > remaining:
        raise UsageError(
            f"--count {options.count}: {options.scores} guarantees only the {remaining} smallest margins; "
            f"score with {_score_options(strategy, options.count)}, or without --nearest"
        )


def _score_options(strategy: Strategy, count: int) -> str:
    """The options `score` needs for `count` queries."""
    nearest = [f"--nearest {strategy.nearest * count}"] if strategy.nearest else []
    return " ".join([f"--measure {measure}" for measure in strategy.needs] + nearest)
