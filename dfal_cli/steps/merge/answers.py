"""The answers of a query list, or of a folder per class, as labels.csv is to know them."""

import re
from collections.abc import Collection, Hashable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from dfal_cli.errors import shown
from dfal_cli.schemas import IMAGE, LABEL, SKIP
from dfal_cli.steps.merge.options import MergeOptions
from dfal_cli.steps.merge.problems import Problem, Where
from dfal_cli.system.files import is_file
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import ImageNames, is_blank, location_of, one_row_per_image, read_queries

ELSEWHERE = re.compile(r"[A-Za-z]:|\\\\|[A-Za-z][A-Za-z0-9+.-]+:/")
r"""Beginnings of paths that lead nowhere under an image root: `C:`, `\\server`, `https://`."""


def read_answers(
    options: MergeOptions, labels: pd.DataFrame, known: Collection[str], reporter: Reporter
) -> tuple[pd.DataFrame, Where]:
    """The query list, and where its rows stand; the index is the row in the file.

    Images are called as in labels.csv, or else as on disk. Answers have no blanks around them, but for those that are
    `known` to be spelt so. Raises UsageError or DataError if it is not the list it should be.
    """
    if options.queries.is_dir():
        root = options.root or options.queries
        from dfal_cli.steps.merge.folders import answers_of_folders  # it loads Pillow, and few merges need it

        queries = answers_of_folders(options.queries, root, reporter, follow_links=options.follow_links)
        where: Where = partial(_place_under, root, list(queries[IMAGE]))
    else:
        queries = read_queries(options.queries)
        where = partial(location_of, options.queries)
    queries = queries.assign(**{IMAGE: _as_known(queries[IMAGE], labels, options)})
    return _trimmed(one_row_per_image(options.queries, queries), known, where, reporter), where


def images_under(root: Path | None, *, follow_links: bool) -> ImageNames | None:
    """The names on disk; None if nobody says where."""
    if root is None:
        return None

    def listed() -> Sequence[str]:
        from dfal_cli.images import list_images  # it loads Pillow, and few merges need it

        return list_images(root, follow_links=follow_links).images

    return ImageNames(root, lambda image: is_file(root / image), listed)


def image_problems(answers: pd.DataFrame, listed: Collection[str], there: ImageNames | None) -> Iterator[Problem]:
    """The answers that are about no image of the root: it is not there, or it cannot be.

    listed: the images of labels.csv.
    """
    for (row, image), label in zip(answers[IMAGE].items(), answers[LABEL], strict=True):
        if there is not None:
            if not there.is_there(there.on_disk(image)) and label != SKIP:  # what has been deleted may be skipped
                yield Problem(row, partial(_not_there, image, there))
        elif ELSEWHERE.match(image):
            yield Problem(row, f"image {shown(image)} is not under any image root; name images relative to it")
        elif image not in listed and image != (plain := image.strip().replace("\\", "/")):
            yield Problem(row, f"image {shown(image)}: did you mean {shown(plain)}?{_folders_parted_by(image)}")


def _trimmed(queries: pd.DataFrame, known: Collection[str], where: Where, reporter: Reporter) -> pd.DataFrame:
    labels = queries[LABEL]
    wrong = labels[(labels != labels.str.strip()) & ~is_blank(labels) & ~labels.isin(list(known))]
    if wrong.empty:
        return queries
    first = f"the first: {shown(wrong.iloc[0])}, {where(wrong.index[0])}"
    reporter.warn(f"blanks around {len(wrong)} {'answers' if len(wrong) > 1 else 'answer'} are left out ({first})")
    return queries.assign(**{LABEL: labels.where(~labels.index.isin(wrong.index), labels.str.strip())})


def _place_under(root: Path, images: Sequence[str], row: Hashable) -> str:
    return str(root / images[int(str(row))])


def _not_there(image: str, there: ImageNames) -> str:
    return f"image {shown(image)} is not under {there.root}{there.hint(image)}{_folders_parted_by(image)}"


def _folders_parted_by(image: str) -> str:
    return " (folders are parted by /)" if "\\" in image else ""


def _as_known(images: "pd.Series[str]", labels: pd.DataFrame, options: MergeOptions) -> "pd.Series[str]":
    """The images by their names in labels.csv, or else on disk, whatever normal form the list has them in."""
    there = images_under(options.root, follow_links=options.follow_links)
    if there is None:
        listed = set(labels[IMAGE])
        there = ImageNames(options.labels, listed.__contains__, lambda: listed)
    listed_as = {there.on_disk(image): image for image in labels[IMAGE]}
    names = [listed_as.get(there.on_disk(image), there.on_disk(image)) for image in images]
    return pd.Series(names, images.index, dtype=images.dtype)
