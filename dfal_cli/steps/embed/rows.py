"""Rows of embeddings that are still valid, from an earlier output and from the parts of unfinished calls."""

import heapq
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dfal_cli.images import ImageSource, Listing
from dfal_cli.system.part_files import Arrays
from dfal_cli.system.parts import Section
from dfal_cli.tables.embeddings import Block, States, read_blocks
from dfal_cli.tables.name_columns import row_of
from dfal_cli.tables.vectors import Values

NAMES, STATES, VECTORS = "names", "states", "vectors"
"""Arrays of a part: paths (n,), states (n, 2) and embeddings (n, d) of n images, sorted by path within a section."""

MISSING = (-1, -1)
"""State of a file that has disappeared."""

ROWS_AT_ONCE = 2**10


class CurrentImages:
    """The images of the folder, with the states of their files when they were listed."""

    def __init__(self, listing: Listing, source: ImageSource) -> None:
        self.listing = listing
        self.states: States = np.empty((len(listing.images), 2), np.int64)
        for row, image in enumerate(listing.images):
            self.states[row] = (source.file_state(image) or MISSING)[:2]

    @property
    def total(self) -> int:
        """Number of images, including those that cannot be read."""
        return len(self.listing.images) + len(self.listing.unreadable)

    def states_of(self, images: Sequence[str]) -> States:
        """Return the states of some of the images, (n, 2)."""
        return self.states[self.rows_of(images)]

    def rows_of(self, images: Sequence[str]) -> npt.NDArray[np.intp]:
        """Return the rows of n images in the listing, (n,); -1 for those that are gone."""
        return np.array([row_of(self.listing.images, image) for image in images], np.intp)

    def unchanged(self, images: Sequence[str], states: States) -> npt.NDArray[np.bool_]:
        """Return which of n images are still there and had these states, (n,)."""
        rows = self.rows_of(images)
        return np.asarray((rows >= 0) & (self.states[rows] == states).all(1))


class _Row(NamedTuple):
    image: str
    state: npt.NDArray[np.int64]
    """(2,)"""
    vector: Values
    """(d,)"""


def part_of(images: Sequence[str], states: States, vectors: Values) -> Arrays:
    """Return the arrays of a part."""
    return {NAMES: np.array(images, np.str_), STATES: states, VECTORS: vectors}


def embedded_in(section: Section, current: CurrentImages) -> Iterator[str]:
    """Yield the images whose embedding is in the parts of a section."""
    for rows in _rows_of_section(section, current):
        yield rows.image


def merged(output: Path | None, sections: Iterable[Section], current: CurrentImages) -> Iterator[Block]:
    """Yield the valid rows of an earlier output, if there is one, and of the parts, sorted by path, each image once."""
    streams = [_rows_of_section(section, current) for section in sections]
    if output is not None:
        streams.append(_valid(read_blocks(output), current))
    by_image = itertools.groupby(heapq.merge(*streams, key=lambda row: row.image), key=lambda row: row.image)
    rows = (next(same) for _, same in by_image)
    while some := list(itertools.islice(rows, ROWS_AT_ONCE)):
        images, states, vectors = zip(*some, strict=True)
        yield Block(images, np.stack(vectors), np.stack(states))


def _rows_of_section(section: Section, current: CurrentImages) -> Iterator[_Row]:
    blocks = (Block(found[NAMES].tolist(), found[VECTORS], found[STATES]) for found in section.blocks())
    return _valid(blocks, current)


def _valid(blocks: Iterable[Block], current: CurrentImages) -> Iterator[_Row]:
    for images, vectors, states in blocks:
        assert states is not None
        for row in np.flatnonzero(current.unchanged(images, states)).tolist():
            yield _Row(images[row], states[row], vectors[row])
