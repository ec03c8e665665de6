"""Images that are similar to one image, by their embeddings."""

from typing import NamedTuple

import numpy as np

from dfal_cli.schemas import IMAGE, LABEL
from dfal_cli.steps.explain.sources import Embedded, Sources
from dfal_cli.tables import labelled_rows
from dfal_cli.tables.vectors import Values

NEAREST_SHOWN = 5
ROWS_AT_ONCE = 2048


class Neighbour(NamedTuple):
    """An image near another one."""

    image: str
    label: str
    """Its label; "" if it has none."""
    distance: float
    """Between embeddings of unit length: 0 for copies, at most 2."""


class Share(NamedTuple):
    """The part of the pool that an image stands for."""

    images: int
    """Number of pool images, itself included, that are nearer to it than to any other query or labelled image."""
    pool: int


def nearest_labelled(sources: Sources, image: str) -> list[Neighbour]:
    """Return the labelled images nearest to an image; none if its embedding is unknown."""
    labels = labelled_rows(sources.labels)
    label_of = dict(zip(labels[IMAGE], labels[LABEL], strict=True))
    return _nearest(sources.embedded, image, label_of, NEAREST_SHOWN)


def nearest_query(sources: Sources, image: str) -> Neighbour | None:
    """Return the image of the list that is nearest to an image; None if embeddings are unknown."""
    return next(iter(_nearest(sources.embedded, image, dict.fromkeys(sources.asked, ""), 1)), None)


def share_of(sources: Sources, image: str) -> Share | None:
    """Return the part of the pool that an image of the list stands for; None if embeddings are unknown."""
    embedded = sources.embedded
    if embedded is None or image not in embedded.images:
        return None
    asked = set(sources.asked)
    labelled = set(labelled_rows(sources.labels)[IMAGE])
    left_out = set(sources.labels[IMAGE]) | set(sources.excluded)
    scored = None if sources.scores is None else set(sources.scores[IMAGE])
    pool = [
        row for row, name in enumerate(embedded.images)
        if name in asked or (name not in left_out and (scored is None or name in scored))
    ]  # fmt: skip
    centres = embedded.rows(asked | labelled)
    own = embedded.images.index(image)
    stands_for = 0
    for start in range(0, len(pool), ROWS_AT_ONCE):
        block = pool[start : start + ROWS_AT_ONCE]
        similarities = embedded.vectors[block] @ embedded.vectors[centres].T
        stands_for += int((similarities.argmax(1) == centres.index(own)).sum())
    return Share(stands_for, len(pool))


def _nearest(embedded: Embedded | None, image: str, label_of: dict[str, str], count: int) -> list[Neighbour]:
    if embedded is None or image not in embedded.images:
        return []
    rows = [row for row in embedded.rows(set(label_of)) if embedded.images[row] != image]
    distances = _distances(embedded.vectors[embedded.images.index(image)], embedded.vectors[rows])
    nearest = np.argsort(distances, kind="stable")[:count]
    names = [embedded.images[rows[place]] for place in nearest]
    return [
        Neighbour(name, label_of[name], float(distances[place])) for name, place in zip(names, nearest, strict=True)
    ]


def _distances(one: Values, others: Values) -> Values:
    """Return the distances of one embedding, (d,), to others, (n, d) -> (n,)."""
    distances: Values = np.linalg.norm(others - one, axis=1)
    return distances
