"""Read the answers of a query list, of a folder per class, or of a labelling tool.

dfal_cli.images is imported where it is used: it loads Pillow, which most merges do not need.
"""

import os
import re
from collections.abc import Collection, Hashable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from dfal_cli.errors import UsageError, plural, shown
from dfal_cli.schemas import IMAGE, LABEL, SKIP
from dfal_cli.steps.merge.options import MergeOptions
from dfal_cli.steps.merge.problems import Location, Problem
from dfal_cli.steps.merge.tool_answers import fill_in, read_tool_list
from dfal_cli.system.files import is_file
from dfal_cli.system.image_roots import ImageRoot
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import (
    ImageNames,
    is_blank,
    labels_from_folders,
    location_of,
    one_row_per_image,
    read_queries,
    read_tool_answers,
)
from dfal_cli.tables.tools.class_folders import RECORD
from dfal_cli.tables.tools.documents import answers_file

NOT_RELATIVE = re.compile(r"[A-Za-z]:|\\\\|[A-Za-z][A-Za-z0-9+.-]+:/")
r"""Matches the beginning of a path that is not relative to an image root: `C:`, `\\server`, `https://`."""


def read_answers(
    options: MergeOptions, labels: pd.DataFrame, known: Collection[str], reporter: Reporter
) -> tuple[pd.DataFrame, Location]:
    """The query list, indexed by the row in the file, and the function that locates a row.

    Images have the names of the labels file, or else those on disk. Blanks around answers are removed, except around
    `known` classes that are spelled with them. Raises UsageError or DataError if the list is invalid.
    """
    location: Location
    found = read_tool_answers(options.queries)
    if found is not None and not _is_sorted_root(options):
        under_root = images_under(options.images, follow_links=options.follow_links)
        queries, location = read_tool_list(options, found, under_root, reporter)
        return _stripped(queries, known, location, reporter), location
    root = image_root(options)
    if root is not None and options.queries.is_dir():
        queries = _answers_from_folders(options.queries, root, reporter, follow_links=options.follow_links)
        location = partial(_image_path, root, list(queries[IMAGE]))
    else:
        queries = read_queries(options.queries)
        location = partial(location_of, options.queries)
    names = images_under(root, follow_links=options.follow_links) or _labelled_before(options, labels)
    queries = queries.assign(**{IMAGE: _with_known_names(queries[IMAGE], labels, names)})
    queries = one_row_per_image(options.queries, queries)
    if options.answers:
        queries, location = fill_in(options, queries, location, names, reporter)
    return _stripped(queries, known, location, reporter), location


def image_root(options: MergeOptions) -> ImageRoot | None:
    """Return the image root, if it is known: --images, or else a folder per class."""
    return options.images or (options.queries if _is_sorted_root(options) else None)


def images_under(root: ImageRoot | None, *, follow_links: bool) -> ImageNames | None:
    """The names of the images under the root; None if the root is not known."""
    if root is None:
        return None

    def all_images() -> Sequence[str]:
        from dfal_cli.images import list_images

        return list_images(root, follow_links=follow_links).images

    def exists(image: str) -> bool:
        if isinstance(root, Path) and is_file(root / image):
            return True
        from dfal_cli.images import is_there

        return is_there(root, image)

    return ImageNames(root, exists, all_images)


def image_problems(answers: pd.DataFrame, labelled: Collection[str], names: ImageNames | None) -> Iterator[Problem]:
    """Yield the answers whose image does not exist, or cannot exist under an image root.

    labelled: the images of the labels file.
    """
    for (row, image), label in zip(answers[IMAGE].items(), answers[LABEL], strict=True):
        if names is not None:
            if not names.is_there(names.on_disk(image)) and label != SKIP:  # a deleted image may be skipped
                yield Problem(row, partial(_missing, image, names))
        elif NOT_RELATIVE.match(image):
            yield Problem(row, f"image {shown(image)} is not under any image root; use paths relative to the root")
        elif image not in labelled and image != (plain := image.strip().replace("\\", "/")):
            yield Problem(row, f"image {shown(image)}: did you mean {shown(plain)}?{_separator_hint(image)}")


def _answers_from_folders(queries: Path, root: ImageRoot, reporter: Reporter, *, follow_links: bool) -> pd.DataFrame:
    """The labels given by the class folders in `queries`; image names are relative to the image root.

    Raises UsageError if the folder is not under the root or has no class folders.
    """
    from dfal_cli.images import list_images
    from dfal_cli.images.pool import report_unread, unreadable_in_words

    listing = list_images(root, below=_relative_to_root(queries, root), follow_links=follow_links)
    answers = labels_from_folders(root, listing.images)
    if answers.table.empty:
        reason = f": {unreadable_in_words(listing.unreadable)}" if listing.unreadable else ""
        raise UsageError(f"{queries}: is a folder without class folders (--queries){reason}")
    report_unread(queries, listing, reporter)
    if answers.left_out:
        reporter.warn(answers.left_out)
    return answers.table


def _is_sorted_root(options: MergeOptions) -> bool:
    """Whether the answers are a folder per class that is (part of) the image root itself, not a copy from a tool."""
    folder = options.queries
    if not folder.is_dir() or answers_file(folder) != folder or is_file(folder / RECORD):
        return False
    root = options.images or folder
    return any(
        Path(absolute(folder)).is_relative_to(absolute(root)) for absolute in (os.path.abspath, os.path.realpath)
    )


def _relative_to_root(queries: Path, root: ImageRoot) -> str:
    """The folder relative to the image root, as written or with links resolved. Raises UsageError if it is outside."""
    for absolute in (os.path.abspath, os.path.realpath) if isinstance(root, Path) else ():
        folder, top = Path(absolute(queries)), Path(absolute(root))
        if folder.is_relative_to(top):
            return "" if folder == top else folder.relative_to(top).as_posix()
    raise UsageError(f"{queries}: is not inside the image root {root} (--images)")


def _stripped(queries: pd.DataFrame, known: Collection[str], location: Location, reporter: Reporter) -> pd.DataFrame:
    labels = queries[LABEL]
    padded = labels[(labels != labels.str.strip()) & ~is_blank(labels) & ~labels.isin(list(known))]
    if padded.empty:
        return queries
    first = f"the first: {shown(padded.iloc[0])}, {location(padded.index[0])}"
    reporter.warn(f"removed whitespace around {len(padded)} {plural(len(padded), 'answer')} ({first})")
    return queries.assign(**{LABEL: labels.where(~labels.index.isin(padded.index), labels.str.strip())})


def _image_path(root: ImageRoot, images: Sequence[str], row: Hashable) -> str:
    return f"{root}/{images[int(str(row))]}"


def _missing(image: str, names: ImageNames) -> str:
    hint = names.hint(image) + _separator_hint(image)
    remedy = f"; restore it, label it {SKIP}, or use --on-missing leave-out"
    return f"image {shown(image)} is not under {names.root}{hint or remedy}"


def _separator_hint(image: str) -> str:
    return " (use / between folders)" if "\\" in image else ""


def _labelled_before(options: MergeOptions, labels: pd.DataFrame) -> ImageNames:
    """The images of the labels file, all that is known without an image root."""
    labelled = set(labels[IMAGE])
    return ImageNames(options.labels, labelled.__contains__, lambda: labelled)


def _with_known_names(images: "pd.Series[str]", labels: pd.DataFrame, names: ImageNames) -> "pd.Series[str]":
    """The images by their names in the labels file, or else on disk, whatever their Unicode normal form."""
    name_in_labels = {names.on_disk(image): image for image in labels[IMAGE]}
    renamed = [name_in_labels.get(names.on_disk(image), names.on_disk(image)) for image in images]
    return pd.Series(renamed, images.index, dtype=images.dtype)
