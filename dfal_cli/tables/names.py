"""Matches the image names in tables to the images on disk: other programs may spell names differently."""

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol
from unicodedata import is_normalized, normalize
from urllib.parse import unquote

import pandas as pd

from dfal_cli.errors import DataError, listed, plural
from dfal_cli.tables.csv_files import line_of
from dfal_cli.tables.spellings import spelling_advice


class NameMatcher(Protocol):
    """A function from the names of images in a file, by row, to their names on disk. It may raise DataError."""

    def __call__(
        self, file: Path, images: "pd.Series[str]", unused: "pd.Series[bool] | None" = None
    ) -> "pd.Series[str]":
        """unused: rows whose images are not read, such as those marked __skip__; they may be missing."""


MAX_MISSING_COMPARED = 1000
"""Number of missing names that are compared with all names on disk to find an example for a message."""


class ImageNames:
    """The images that exist, by their names on disk, which are their only identity."""

    def __init__(
        self,
        root: Path,
        is_there: Callable[[str], bool],
        list_names: Callable[[], Iterable[str]],
        within: str = "under",
    ) -> None:
        """`root` is for messages: images are `within` it. `list_names` is called only if some name is not found."""
        self.root = root
        self.place = f"{within} {root}"
        """Where images are named, for messages."""
        self.is_there = is_there
        self._list_names = list_names

    @functools.cached_property
    def _decomposed(self) -> Mapping[str, str]:
        """NFC form -> name on disk, for the names that are not in NFC (macOS writes é as two characters)."""
        return {normalize("NFC", name): name for name in self._list_names() if not is_normalized("NFC", name)}

    def on_disk(self, image: str) -> str:
        """Return the name on disk that is equal to `image`, or else equal in NFC; `image` itself if there is none."""
        if image.isascii() or self.is_there(image):
            return image
        composed = normalize("NFC", image)
        return composed if self.is_there(composed) else self._decomposed.get(composed, image)

    def renamed(
        self, file: Path, images: "pd.Series[str]", unused: "pd.Series[bool] | None" = None
    ) -> "pd.Series[str]":
        """A `NameMatcher` that keeps the names of missing images unchanged."""
        return pd.Series([self.on_disk(image) for image in images], images.index, dtype=images.dtype)

    def matched(self, warn: Callable[[str], None], note: Callable[[str], None] | None = None) -> NameMatcher:
        """Return a `NameMatcher` that warns of missing images, and raises DataError if all of a file are missing.

        note: called instead of `warn` if none of the missing images exists under a similar name: they are not
        misspelt but deleted.
        """

        def matching(file: Path, images: "pd.Series[str]", unused: "pd.Series[bool] | None" = None) -> "pd.Series[str]":
            renamed = self.renamed(file, images)
            needed = renamed if unused is None else renamed[~unused]
            missing = needed[[not self.is_there(image) for image in needed]]
            if len(missing):
                message = self.missing_in_words(file, missing, len(renamed))
                if len(missing) == len(renamed):
                    advice = self.advice(missing, str(file)) or f"name images by their paths {self.place}"
                    raise DataError(f"{message}; {advice}")
                (warn if note is None or self.counterpart(missing) else note)(message)
            return renamed

        return matching

    def counterparts(self, images: Iterable[str]) -> dict[str, str]:
        """Return those of the first missing images that exist under another name, and that name."""
        compared = list(islice(images, MAX_MISSING_COMPARED))
        wanted: dict[str, list[tuple[str, Sequence[str]]]] = {}
        for image in compared:
            parts = _normalised_parts(image)
            wanted.setdefault(parts[-1], []).append((image, parts))
        found: dict[str, str] = {}
        for name in self._list_names():
            parts = _normalised_parts(name)
            for image, other in wanted.get(parts[-1], ()):
                if _have_common_end(parts, other) and len(name) > len(found.get(image, "")):
                    found[image] = name
        return {image: found[image] for image in compared if image in found}

    def counterpart(self, images: Iterable[str]) -> tuple[str, str] | None:
        """Return the first of these missing images that exists under another name, and that name."""
        return next(iter(self.counterparts(images).items()), None)

    def advice(self, images: Iterable[str], file: str) -> str:
        """Return how all missing images that exist under other names would match; "" if there is no one way.

        file: what names these images.
        """
        images = list(images)
        found = self.counterparts(images)
        advice = spelling_advice(found, f"the names in {file}", f"the names {self.place}")
        compared = min(len(images), MAX_MISSING_COMPARED)
        who = "they match" if len(found) == compared else f"{len(found)} of {compared} match"
        return f"{who} if {advice}" if advice else ""

    def all(self) -> Iterable[str]:
        """Return the names of all images."""
        return self._list_names()

    def hint(self, image: str) -> str:
        """Return ", but NAME exists" if a missing image exists under another name, else ""."""
        found = self.counterpart([image])
        return f", but {listed([found[1]])} exists" if found else ""

    def missing_in_words(self, file: Path, missing: "pd.Series[str]", total: int) -> str:
        """Say how many of the images in a file are missing, and which, with a similar name if there is one.

        missing: their names by row; at least one.
        """
        found = self.counterpart(missing)
        image = found[0] if found else missing.iloc[0]
        row = missing.index[missing == image][0]
        first = "the first" if image == missing.iloc[0] else "one of them"
        but = f", but {listed([found[1]])} exists" if found else ""
        return (
            f"{len(missing)} of {total} images in {file} {plural(len(missing), 'is', 'are')} not {self.place}; "
            f"{first}: {listed([image])}{but} (line {line_of(file, int(row))})"
        )


def keep_names(file: Path, images: "pd.Series[str]", unused: "pd.Series[bool] | None" = None) -> "pd.Series[str]":
    """A `NameMatcher` that changes nothing, for callers that do not know which images exist."""
    return images


def _normalised_parts(image: str) -> Sequence[str]:
    r"""Return folders and file name without differences in case, suffix, whitespace, `\` for `/` and URL encoding."""
    plain = re.sub(r"\?[^/]*$", "", image) if ":/" in image else image
    plain = normalize("NFC", unquote(plain).replace("\\", "/").strip()).casefold()
    return re.sub(r"\.[a-z][a-z0-9]{1,4}$", "", plain).split("/")


def _have_common_end(one: Sequence[str], other: Sequence[str]) -> bool:
    """Return whether one path is the end of the other, without its first folders (or drive, or URL host)."""
    shorter = min(len(one), len(other))
    return one[-shorter:] == other[-shorter:]
