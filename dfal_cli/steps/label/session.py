"""Open what a labelling session works on: the query list, the classes with their keys, and the images."""

from collections.abc import Sequence
from itertools import chain

from dfal_cli.errors import DataError, shown
from dfal_cli.images import is_there, list_images
from dfal_cli.pages.labelling.board import Board
from dfal_cli.pages.labelling.photos import Photos
from dfal_cli.pages.labelling.session import Session
from dfal_cli.steps.label.options import LabelOptions
from dfal_cli.tables import ImageNames, labelled_rows, read_labels
from dfal_cli.tables.answer_times import AnswerTimes
from dfal_cli.tables.class_keys import ClassKeys
from dfal_cli.tables.conflicts import Conflicts
from dfal_cli.tables.guesses import read_guesses
from dfal_cli.tables.query_answers import QueryAnswers

FIRST_IMAGES = 100
"""Number of images that are looked for before the page is shown."""

LOCK_SECONDS = 10.0
"""Minimum time to wait for locks: other people's pages hold them only for moments."""


def open_session(options: LabelOptions) -> Session:
    """Read the list and the classes, and store the keys of the classes. Raises DataError if the list is empty."""
    wait = max(options.wait, LOCK_SECONDS)
    queries = QueryAnswers(options.queries, wait)
    if not queries.images:
        raise DataError(f"{options.queries}: has no rows; there is nothing to answer")
    _check_images(options, queries.images)
    board = Board(queries, read_guesses(options.predictions) if options.predictions else {})
    keys = ClassKeys(options.keys_file, wait)
    keys.add(dict.fromkeys([*(options.class_names or ()), *sorted({*_labelled(options), *board.answers})]))
    conflicts, times = Conflicts(options.conflicts_file, wait), AnswerTimes(options.queries)
    return Session(options.queries.name, board, keys, conflicts, times)


def open_photos(options: LabelOptions, images: Sequence[str]) -> Photos:
    """Return the images of the list as pictures."""
    return Photos(_names(options), options.white, images, follow_links=options.follow_links)


def _names(options: LabelOptions) -> ImageNames:
    """The images under the image root by their names on disk."""
    return ImageNames(
        options.images,
        lambda image: is_there(options.images, image),
        lambda: list_images(options.images, follow_links=options.follow_links).images,
    )


def _check_images(options: LabelOptions, images: Sequence[str]) -> None:
    """Raise DataError if none of the first images exists: the list is probably for another image root."""
    names = _names(options)
    if not any(names.is_there(names.on_disk(image)) for image in images[:FIRST_IMAGES]):
        example = f"{shown(images[0])} is not there{names.hint(images[0])}"
        raise DataError(f"{options.queries}: its images are not under {options.images} (--images); {example}")


def _labelled(options: LabelOptions) -> set[str]:
    """The classes in the labels files; that of --merge need not exist yet."""
    files = [path for path in options.labels if path != options.merge]
    if options.merge and options.merge.exists() and options.merge.stat().st_size:
        files.append(options.merge)
    return set(chain.from_iterable(labelled_rows(read_labels(file))["label"] for file in files))
