"""Matches the image names in tables to the images on disk: other programs may spell names differently."""

import functools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from unicodedata import is_normalized, normalize
from urllib.parse import unquote

import pandas as pd

from dfal_cli.errors import DataError, listed, plural
from dfal_cli.schemas import SKIP
from dfal_cli.system.image_roots import ImageRoot
from dfal_cli.tables.locations import place_in
from dfal_cli.tables.spellings import spelling_advice
from dfal_cli.tables.tools.forms import Answer
from dfal_cli.tables.tools.matching import Match, ToolImages
from dfal_cli.tables.tools.reading import ToolAnswers

MAX_MISSING_COMPARED = 1000
"""Number of missing names that are compared with all names on disk to find an example for a message."""


def _ignore(text: str) -> None:
    """Tell nobody."""


class ImageNames:
    """The images that exist, by their names on disk, which are their only identity."""

    def __init__(
        self,
        root: ImageRoot,
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

    @property
    def renamed(self) -> "NameMatcher":
        """A `NameMatcher` that keeps the names of missing images unchanged."""
        return NameMatcher(self)

    def matched(
        self,
        warn: Callable[[str], None],
        note: Callable[[str], None] | None = None,
        tell: Callable[[str], None] = _ignore,
        doubt: Callable[[str], None] = _ignore,
    ) -> "NameMatcher":
        """Return a `NameMatcher` that warns of missing images, and raises DataError if all of a file are missing."""
        return NameMatcher(self, warn, note, tell, doubt)

    @functools.cached_property
    def of_tools(self) -> ToolImages:
        """The same images, to be found by what a labelling tool calls them."""

        def is_there(image: str) -> str | None:
            name = self.on_disk(image)
            return name if self.is_there(name) else None

        return ToolImages(self.root, is_there, self._list_names)

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
            f"{first}: {listed([image])}{but} ({place_in(file, int(row))})"
        )


@dataclass(frozen=True)
class NameMatcher:
    """A function from the names of images in a file, by row, to their names on disk. It may raise DataError."""

    names: ImageNames | None = None
    """None: nothing is known of the images, and names stay as they are."""
    warn: Callable[[str], None] | None = None
    """Is told of missing images, which are an error if all of a file are; None if nobody needs to know."""
    note: Callable[[str], None] | None = None
    """Is told instead if no missing image exists under a similar name: they are not misspelt but deleted."""
    tell: Callable[[str], None] = _ignore
    """Is told what the file of a labelling tool was taken for, and how its images were found."""
    doubt: Callable[[str], None] = _ignore
    """Is told which answers of a labelling tool may be misread, or are none."""

    def __call__(
        self, file: Path, images: "pd.Series[str]", unused: "pd.Series[bool] | None" = None
    ) -> "pd.Series[str]":
        """unused: rows whose images are not read, such as those marked __skip__; they may be missing."""
        if self.names is None:
            return images
        names = [self.names.on_disk(image) for image in images]
        return self._checked(file, pd.Series(names, images.index, dtype=images.dtype), unused)

    def of_tool(self, found: ToolAnswers, rows: Sequence[int]) -> "pd.Series[str]":
        """Return the images of these answers of a labelling tool, by row. Raises DataError also if one is ambiguous."""
        matches = [self._match(found.path, found.answers[row]) for row in rows]
        rules = Counter(match.rule for match in matches)
        by_rule = ", ".join(f"{rule} ({count})" for rule, count in rules.most_common())
        by_rule = f"; images by {by_rule}" if by_rule and self.names else ""
        self.tell(f"{found.path}: {found.form}, {len(rows)} {plural(len(rows), 'answer')}{by_rule}")
        for doubt in found.doubts():
            self.doubt(doubt)
        images = pd.Series([match.image for match in matches], list(rows), dtype=str)
        unused = pd.Series([found.answers[row].label == SKIP for row in rows], list(rows), dtype=bool)
        return self._checked(found.path, images, unused)

    def _match(self, file: Path, answer: Answer) -> Match:
        if self.names is None:
            return Match(answer.dfal_image or answer.image, "name")
        try:
            return self.names.of_tools.match(answer) or Match(answer.dfal_image or answer.image, "no rule: not found")
        except DataError as error:
            raise DataError(f"{file}, {error}") from None

    def _checked(self, file: Path, images: "pd.Series[str]", unused: "pd.Series[bool] | None") -> "pd.Series[str]":
        if self.warn is None or self.names is None:
            return images
        needed = images if unused is None else images[~unused]
        missing = needed[[not self.names.is_there(image) for image in needed]]
        if len(missing):
            message = self.names.missing_in_words(file, missing, len(images))
            if len(missing) == len(images):
                advice = self.names.advice(missing, str(file)) or f"name images by their paths {self.names.place}"
                raise DataError(f"{message}; {advice}")
            (self.warn if self.note is None or self.names.counterpart(missing) else self.note)(message)
        return images


keep_names = NameMatcher()
"""Changes nothing, for callers that do not know which images exist."""


def _normalised_parts(image: str) -> Sequence[str]:
    r"""Return folders and file name without differences in case, suffix, whitespace, `\` for `/` and URL encoding."""
    plain = re.sub(r"\?[^/]*$", "", image) if ":/" in image else image
    plain = normalize("NFC", unquote(plain).replace("\\", "/").strip()).casefold()
    return re.sub(r"\.[a-z][a-z0-9]{1,4}$", "", plain).split("/")


def _have_common_end(one: Sequence[str], other: Sequence[str]) -> bool:
    """Return whether one path is the end of the other, without its first folders (or drive, or URL host)."""
    shorter = min(len(one), len(other))
    return one[-shorter:] == other[-shorter:]
