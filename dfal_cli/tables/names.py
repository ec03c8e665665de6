"""What tables call the images that are there: a table written elsewhere may spell every name in another way."""

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from unicodedata import is_normalized, normalize
from urllib.parse import unquote

import pandas as pd

from dfal_cli.errors import DataError, listed
from dfal_cli.tables.csv_files import line_of

NameMatcher = Callable[[Path, "pd.Series[str]"], "pd.Series[str]"]
"""The file and the images it names, by row -> their names on disk, by row. It may raise DataError."""

MOST_LOOKED_FOR = 1000
"""Of the names that match nothing, so many are compared with all that is there, for an example."""


class ImageNames:
    """The images that are there, by their names on disk, which are their only identity."""

    def __init__(self, root: Path, is_there: Callable[[str], bool], every: Callable[[], Iterable[str]]) -> None:
        """`root` is for messages; `every` lists all names, and is called only where some name is not found."""
        self.root = root
        self.is_there = is_there
        self._every = every

    @functools.cached_property
    def _decomposed(self) -> Mapping[str, str]:
        """The names that are not in NFC (macOS writes é as two characters), by their NFC."""
        return {normalize("NFC", name): name for name in self._every() if not is_normalized("NFC", name)}

    def on_disk(self, image: str) -> str:
        """The image's name on disk: as written, or else what is equal to it in NFC. As written if there is neither."""
        if image.isascii() or self.is_there(image):
            return image
        composed = normalize("NFC", image)
        return composed if self.is_there(composed) else self._decomposed.get(composed, image)

    def renamed(self, file: Path, images: "pd.Series[str]") -> "pd.Series[str]":
        """A `NameMatcher` that leaves names of images that are not there as they are."""
        return pd.Series([self.on_disk(image) for image in images], images.index, dtype=images.dtype)

    def matched(self, warn: Callable[[str], None]) -> NameMatcher:
        """A `NameMatcher` that warns of images that are not there, and raises DataError if that is all of a file's."""

        def matching(file: Path, images: "pd.Series[str]") -> "pd.Series[str]":
            renamed = self.renamed(file, images)
            missing = renamed[[not self.is_there(image) for image in renamed]]
            if len(missing):
                told = self._told(file, missing, len(renamed))
                if len(missing) == len(renamed):
                    raise DataError(f"{told}; name images by their paths under {self.root}")
                warn(told)
            return renamed

        return matching

    def counterpart(self, images: Iterable[str]) -> tuple[str, str] | None:
        """The first of these images that is there under another name, and that name; the first few are looked for."""
        looked_for = list(islice(images, MOST_LOOKED_FOR))
        wanted: dict[str, list[tuple[str, Sequence[str]]]] = {}
        for image in looked_for:
            parts = _parts(image)
            wanted.setdefault(parts[-1], []).append((image, parts))
        found: dict[str, str] = {}
        for name in self._every():
            parts = _parts(name)
            for image, other in wanted.get(parts[-1], ()):
                if _ends_alike(parts, other) and len(name) > len(found.get(image, "")):
                    found[image] = name
        return next(((image, found[image]) for image in looked_for if image in found), None)

    def hint(self, image: str) -> str:
        """What to add to a message that says that an image is not there."""
        found = self.counterpart([image])
        return f", but {listed([found[1]])} is there" if found else ""

    def _told(self, file: Path, missing: "pd.Series[str]", total: int) -> str:
        found = self.counterpart(missing)
        image = found[0] if found else missing.iloc[0]
        row = missing.index[missing == image][0]
        first = "the first" if image == missing.iloc[0] else "one of them"
        but = f", but {listed([found[1]])} is there" if found else ""
        return (
            f"{len(missing)} of {total} images in {file} are not under {self.root}; "
            f"{first}: {listed([image])}{but} (line {line_of(file, int(row))})"
        )


def keep_names(file: Path, images: "pd.Series[str]") -> "pd.Series[str]":
    """The `NameMatcher` of who does not know which images are there."""
    return images


def _parts(image: str) -> Sequence[str]:
    r"""The folders and the name without what spellings differ in: case, suffix, blanks, `\` for `/`, URL encoding."""
    plain = re.sub(r"\?[^/]*$", "", image) if ":/" in image else image
    plain = normalize("NFC", unquote(plain).replace("\\", "/").strip()).casefold()
    return re.sub(r"\.[a-z][a-z0-9]{1,4}$", "", plain).split("/")


def _ends_alike(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether one is the other less its first folders (or a drive, or the host of a URL)."""
    shorter = min(len(one), len(other))
    return one[-shorter:] == other[-shorter:]
