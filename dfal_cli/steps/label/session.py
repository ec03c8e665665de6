"""Open what a labelling session works on: the query list, the classes with their keys, and the images."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from dfal_cli.errors import DataError
from dfal_cli.images import list_images
from dfal_cli.pages.labelling.board import Board
from dfal_cli.pages.labelling.photos import Photos
from dfal_cli.pages.labelling.session import Session
from dfal_cli.steps.label.options import LabelOptions
from dfal_cli.system.files import is_file
from dfal_cli.tables import ImageNames, labelled_rows, read_labels
from dfal_cli.tables.class_keys import ClassKeys
from dfal_cli.tables.conflicts import Conflicts
from dfal_cli.tables.guesses import read_guesses
from dfal_cli.tables.query_answers import QueryAnswers

LOCK_SECONDS = 10.0
"""Minimum time to wait for locks: other people's pages hold them only for moments."""


def open_session(options: LabelOptions) -> Session:
    """Read the list and the classes, and store the keys of the classes. Raises DataError if the list is empty."""
    wait = max(options.wait, LOCK_SECONDS)
    queries = QueryAnswers(options.queries, wait)
    if not queries.images:
        raise DataError(f"{options.queries}: has no rows; there is nothing to answer")
    board = Board(queries, read_guesses(options.predictions) if options.predictions else {})
    keys = ClassKeys(options.keys_file, wait)
    keys.add(dict.fromkeys([*(options.class_names or ()), *sorted({*_labelled(options), *board.answers})]))
    return Session(options.queries.name, board, keys, Conflicts(options.conflicts_file, wait))


def open_photos(options: LabelOptions, images: Sequence[str]) -> Photos:
    """Return the images of the list as pictures."""
    names = ImageNames(
        options.images,
        lambda image: is_file(options.images / image),
        lambda: list_images(options.images, follow_links=options.follow_links).images,
    )
    return Photos(names, options.white, images, follow_links=options.follow_links)


def _labelled(options: LabelOptions) -> set[str]:
    """The classes in the labels files."""
    files: list[Path] = list(options.labels)
    if options.merge and options.merge.exists() and options.merge.stat().st_size:
        files.append(options.merge)
    return set(chain.from_iterable(labelled_rows(read_labels(file))["label"] for file in files))
