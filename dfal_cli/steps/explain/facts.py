"""The facts about an image, from which text, JSON and page are made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dfal_cli.errors import DataError, did_you_mean, shown
from dfal_cli.schemas import EMBEDDING, IMAGE, LABEL, PIXEL_SPACE, RANK, SKIP
from dfal_cli.steps.explain.neighbours import Neighbour, Share, nearest_labelled, nearest_query, share_of
from dfal_cli.steps.explain.options import ExplainOptions
from dfal_cli.steps.explain.sources import Sources
from dfal_cli.strategies import STRATEGIES, Pool, pick_queries
from dfal_cli.tables.control import is_control


@dataclass(frozen=True)
class Query:
    """The row of an image in the list."""

    rank: str
    count: int
    """Number of rows of the list."""
    answer: str
    is_control: bool
    """Whether it was drawn at random (`select --control`)."""


@dataclass(frozen=True)
class Place:
    """Where a number of the image is among those of the scored images."""

    value: float
    smaller: int
    """Number of images with a smaller value."""
    known: int
    """Number of images whose value is known."""
    median: float


@dataclass(frozen=True)
class Facts:
    """What is known about an image; None or empty if it is unknown."""

    image: str
    query: Query | None
    strategy: str
    """The strategy that made the list; "" if it is unknown."""
    label: str
    labelled_in: str
    """The labels file, if there is a label."""
    excluded_by: str
    is_scored: bool | None
    """None without scores."""
    scores: Mapping[str, Any]
    """The row of the scores file."""
    space: str
    places: Mapping[str, Place]
    """The margin, and the measure of the strategy, each by its name."""
    rank_would_be: tuple[int, int] | None
    """The rank that an image that was not asked about would have in a list of the whole pool, and its length."""
    nearest_labelled: list[Neighbour]
    nearest_query: Neighbour | None
    share: Share | None
    settings: Mapping[str, Any]
    scored_with: Mapping[str, Any]


def facts_about(options: ExplainOptions, sources: Sources) -> Facts:
    """Gather the facts. Raises DataError if no file names the image."""
    image = options.image.removeprefix("./")
    _check_known(image, options, sources)
    query, (label, labelled_in) = _query(sources, image), _label(sources, image)
    strategy = str(sources.settings.get("strategy") or "")
    row = _row(sources, image)
    measure = STRATEGIES[strategy].measure if strategy in STRATEGIES else None
    names = dict.fromkeys(("margin", *([measure] if measure else [])))
    places = {name: place for name in names if row and (place := _place(sources.scores, name, row)) is not None}
    in_pool = query is None and row is not None and not label and image not in sources.excluded
    return Facts(
        image, query, strategy, label, labelled_in, sources.excluded.get(image, ""),
        None if sources.scores is None else row is not None, _plain(row or {}),
        sources.scored_with.get("space", PIXEL_SPACE) if sources.scores is not None else "", places,
        _rank_would_be(sources, image, strategy) if in_pool else None, nearest_labelled(sources, image),
        None if query else nearest_query(sources, image), share_of(sources, image) if query else None,
        sources.settings, sources.scored_with,
    )  # fmt: skip


def _check_known(image: str, options: ExplainOptions, sources: Sources) -> None:
    names = {*sources.asked, *sources.labels[IMAGE], *sources.excluded}
    names |= set() if sources.scores is None else set(sources.scores[IMAGE])
    names |= set() if sources.embedded is None else set(sources.embedded.images)
    if image not in names:
        file = options.queries or options.scores
        raise DataError(
            f"{shown(image)}: neither {file} nor the scores, labels and embeddings name this image"
            f"{did_you_mean(image, names) or '; name it by its path relative to the image root'}"
        )


def _query(sources: Sources, image: str) -> Query | None:
    if sources.queries is None or image not in sources.asked:
        return None
    place = sources.asked.index(image)
    row = sources.queries.iloc[place]
    in_control = bool(is_control(sources.queries).iloc[place])
    return Query(str(row.get(RANK) or place + 1), len(sources.queries), row[LABEL].strip(), in_control)


def _label(sources: Sources, image: str) -> tuple[str, str]:
    rows = sources.labels[sources.labels[IMAGE] == image]
    return (rows[LABEL].iloc[0], rows["file"].iloc[0]) if len(rows) else ("", "")


def _row(sources: Sources, image: str) -> dict[str, Any] | None:
    if sources.scores is None:
        return None
    rows = sources.scores[sources.scores[IMAGE] == image]
    return {str(name): value for name, value in rows.iloc[0].items()} if len(rows) else None


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row without vectors, ready for JSON."""
    numbers = {name: value.item() for name, value in row.items() if isinstance(value, np.generic)}
    return {name: value for name, value in {**row, **numbers}.items() if isinstance(value, str | float | int)}


def _place(scores: pd.DataFrame | None, name: str, row: Mapping[str, Any]) -> Place | None:
    if scores is None or name not in scores or not np.isfinite(row[name]):
        return None
    known = scores[name][np.isfinite(scores[name])]
    return Place(float(row[name]), int((known < row[name]).sum()), len(known), float(known.median()))


def _rank_would_be(sources: Sources, image: str, strategy: str) -> tuple[int, int] | None:
    """The rank in a list of the whole pool, for strategies that sort the pool by a number of each image."""
    if strategy not in STRATEGIES or sources.scores is None:
        return None
    entry = STRATEGIES[strategy]
    if entry.measure is None or EMBEDDING in entry.needs or entry.measure not in sources.scores:
        return None
    left_out = (set(sources.labels[IMAGE]) | set(sources.excluded)) - set(sources.asked)
    pool = sources.scores[~sources.scores[IMAGE].isin(left_out)].reset_index(drop=True)
    order = list(pick_queries(Pool(pool), strategy, len(pool), int(sources.settings.get("seed", 0)))[IMAGE])
    return order.index(image) + 1, len(order)


def is_unusable(facts: Facts) -> bool:
    """Whether a person has marked the image as unusable."""
    return facts.label == SKIP
