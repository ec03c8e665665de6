"""The images `select` may choose from, and the choice: images that were deleted meanwhile are left out."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from dfal_cli.errors import DataError, UsageError
from dfal_cli.images import ImageFolder, ImageSource
from dfal_cli.images.pool import image_names
from dfal_cli.schemas import EMBEDDING, EMBEDDING_SPACE, IMAGE, LABEL
from dfal_cli.steps.select.options import SelectOptions
from dfal_cli.strategies import STRATEGIES, Pool, pick_queries
from dfal_cli.strategies.control import control_size, pick_with_control
from dfal_cli.system.image_roots import ImageRoot, is_image_root
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import labelled_rows


class Candidates(NamedTuple):
    """The images to choose from, and how they were found."""

    pool: Pool
    counts: dict[str, int]
    """Number of images left out: `labelled` (including __skip__) and `excluded`."""
    root: ImageRoot | None
    """The image root; None if it is unknown."""
    exists: Callable[[str], bool]
    """Whether an image still exists."""
    metadata: dict[str, Any]
    """Metadata of the scores file; without scores, what is known without them."""
    made_from: dict[str, str]
    """Identifies the contents of the scores and of the embeddings that were named."""
    source: ImageSource | None
    """The images under the root; None if they are unknown."""
    classes: list[str]
    """The classes of the network and of the labels, offered as answers."""
    certain: frozenset[str] | None = None
    """Images whose margins are certainly the smallest; None if all margins were computed, or none is needed."""
    complete: Callable[[pd.DataFrame], pd.DataFrame] = lambda rows: rows
    """Returns rows of the pool with the columns that are not read for all of it."""


def pick(options: SelectOptions, candidates: Candidates) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The pool without the images found to be missing, and the picked rows in rank order.

    A pool may be large: only picked images are looked for on disk, and the whole pool only if all of them are missing.
    Raises DataError if all images are missing, UsageError if the strategy needs margins that were not computed.
    """
    pool = candidates.pool
    while len(pool.scores):
        picked = _pick(options, pool)
        if (found := images_exist(candidates, picked)).all():
            _check_certain(options, candidates, pool.scores)
            return pool.scores, candidates.complete(picked)
        missing = picked[~found] if found.any() else pool.scores[~images_exist(candidates, pool.scores)]
        pool = pool._replace(scores=pool.scores[~pool.scores[IMAGE].isin(missing[IMAGE])].reset_index(drop=True))
    raise _none_exist(candidates, options.scores or options.embeddings)


def _pick(options: SelectOptions, pool: Pool) -> pd.DataFrame:
    if options.control:
        return pick_with_control(pool, options.strategy, options.count, options.seed, options.control)
    return pick_queries(pool, options.strategy, options.count, options.seed)


def _none_exist(candidates: Candidates, named_by: Path | None) -> DataError:
    """Return the error that no image exists, and how the names would match those under the image root."""
    advice = ""
    if candidates.source is not None:
        advice = image_names(candidates.source).advice(candidates.pool.scores[IMAGE], str(named_by))
    return DataError(
        f"{candidates.root}: none of the images exist any more; {advice or 'set the image root with --images'}"
    )


def classes_of(labels: pd.DataFrame, of_network: Iterable[str] = ()) -> list[str]:
    """The classes of the network, and further ones of the labels, sorted."""
    return list(dict.fromkeys((*of_network, *sorted(set(labelled_rows(labels)[LABEL])))))


def images_exist(candidates: Candidates, table: pd.DataFrame) -> "pd.Series[bool]":
    """Whether the image of each row still exists."""
    return table[IMAGE].map(candidates.exists).astype(bool)


def source_under(
    root: ImageRoot | None, images: ImageSource | None, named_by: Path, reporter: Reporter, *, follow_links: bool
) -> ImageSource | None:
    """The given images, or those under the root. Warns and returns None if the root, named by a file, is unknown."""
    if images is not None:
        return images
    if root and is_image_root(root):
        return ImageFolder(root, follow_links=follow_links)
    problem = f"{root}: no such folder" if root else f"{named_by}: does not say where its images are"
    reporter.warn(f"{problem}, so the list may contain deleted images; set the image root of {named_by} with --images")
    return None


def existence_test(source: ImageSource | None) -> Callable[[str], bool]:
    """A function that returns whether an image exists; without a source, all images are assumed to exist."""
    if isinstance(source, ImageFolder):
        return lambda image: source.file_state(image) is not None
    return source.is_there if source else lambda image: True


def score_options(options: SelectOptions, space: str) -> str:
    """The options `score` needs for the queries. space: that of the margins."""
    strategy = STRATEGIES[options.strategy]
    measures = [name for name in strategy.needs if (name, space) != (EMBEDDING, EMBEDDING_SPACE)]
    nearest = [f"--nearest {strategy.nearest * options.count}"] if strategy.nearest else []
    return " ".join([f"--measure {name}" for name in measures] + nearest)


def _check_certain(options: SelectOptions, candidates: Candidates, left: pd.DataFrame) -> None:
    """Raise UsageError if the strategy needs more of the smallest margins than `score --nearest` computed."""
    strategy = STRATEGIES[options.strategy]
    if candidates.certain is None or not strategy.nearest:
        return
    remaining = int(left[IMAGE].isin(candidates.certain).sum())
    if strategy.nearest * (options.count - control_size(options.count, options.control)) > remaining:
        raise UsageError(
            f"--count {options.count}: {options.scores} guarantees only the {remaining} smallest margins; "
            f"score with {score_options(options, candidates.metadata['space'])}, or without --nearest"
        )
