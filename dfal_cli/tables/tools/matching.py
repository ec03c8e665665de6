"""Finds the images that labelling tools name in their own ways: by URL, by upload name, without folders."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import PurePosixPath
from typing import NamedTuple
from unicodedata import normalize
from urllib.parse import unquote, urlsplit

from dfal_cli.errors import DataError, shown
from dfal_cli.system.image_roots import ImageRoot, Url
from dfal_cli.tables.csv_files import SCHEME
from dfal_cli.tables.tools.forms import Answer

UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-")
"""What Label Studio puts before the name of an uploaded file."""

LOCAL_FILE = re.compile(r"\?(?:.*&)?d=([^&]*)")
"""The path of a local file in a URL of Label Studio."""

NOT_UPLOADED = re.compile(r"[^-\w.]")
"""Characters that Label Studio leaves out of the name of an uploaded file; a blank becomes an underscore."""

RENAMED = re.compile(r"_([A-Za-z0-9]{2,5})\.rf\.[0-9A-Za-z]{8,}\.[a-z]+$")
"""What Roboflow makes of the suffix of a file name."""


class Match(NamedTuple):
    """An image that an answer is about."""

    image: str
    rule: str
    """How it was found, for the count by rule."""


class ToolImages:
    """The images that exist, to be found by what a tool calls them."""

    def __init__(
        self, root: ImageRoot, is_there: Callable[[str], str | None], list_names: Callable[[], Iterable[str]]
    ) -> None:
        """is_there: returns the name on disk of an image named by its path; None if there is none."""
        self._root = root if isinstance(root, Url) else root.absolute().as_posix()
        self._is_there = is_there
        self._list_names = list_names

    def match(self, answer: Answer) -> Match | None:
        """Return the image by the first rule that finds one; None if none does. Raises DataError if one finds two."""
        for rule, find in RULES.items():
            found = sorted(set(find(self, answer)))
            if len(found) > 1:
                raise DataError(
                    f"{answer.place}: {shown(answer.image)} may be {' or '.join(map(shown, found[:2]))}; "
                    "hand images over with `dfal export`, which names their paths, or rename one of them"
                )
            if found:
                return Match(found[0], rule)
        return None

    def at(self, name: str) -> Sequence[str]:
        """Return the image at a path, which is relative to the image root or absolute."""
        relative = name.removeprefix(f"{self._root}/")
        plain = PurePosixPath(relative).as_posix()
        if not relative or plain.startswith("/") or ".." in PurePosixPath(plain).parts:
            return ()
        found = self._is_there(plain)
        return () if found is None else (found,)

    def below_root(self, name: str) -> Sequence[str]:
        """Return the image at a path that begins with the name of the image root, as in URLs of local files."""
        top, _, below = name.partition("/")
        return self.at(below) if top == PurePosixPath(self._root).name else ()

    def ending(self, name: str) -> Sequence[str]:
        """Return the images whose path is the end of `name`, or ends with it."""
        parts = _parts(name)
        return [image for image in self._by_name.get(parts[-1], ()) if _have_common_end(parts, _parts(image))]

    def without_suffix(self, name: str) -> Sequence[str]:
        """Return the images whose path without its suffix is the end of `name`, or ends with it."""
        parts = _parts(name)
        return [image for image in self._by_stem.get(parts[-1], ()) if _have_common_end(parts, _parts(_stem(image)))]

    def uploaded_as(self, name: str) -> Sequence[str]:
        """Return the images whose file name, uploaded to Label Studio, is `name` after its prefix."""
        return self._by_upload.get(normalize("NFC", name), ())

    @cached_property
    def _by_upload(self) -> Mapping[str, Sequence[str]]:
        return _grouped(self._list_names(), lambda image: NOT_UPLOADED.sub("", _parts(image)[-1].replace(" ", "_")))

    @cached_property
    def _by_name(self) -> Mapping[str, Sequence[str]]:
        return _grouped(self._list_names(), lambda image: _parts(image)[-1])

    @cached_property
    def _by_stem(self) -> Mapping[str, Sequence[str]]:
        return _grouped(self._list_names(), lambda image: _parts(_stem(image))[-1])


def path_in(url: str) -> str:
    """Return the path of the image in a URL: the value of `?d=` in Label Studio, else the decoded path."""
    if local := LOCAL_FILE.search(url):
        return unquote(local[1])
    try:
        return unquote(urlsplit(url).path)
    except ValueError:  # not a URL
        return url


def _is_url(name: str) -> bool:
    return bool(re.match(SCHEME, name)) or "?" in name


def _by_dfal_image(images: ToolImages, answer: Answer) -> Sequence[str]:
    return images.at(answer.dfal_image) if answer.dfal_image else ()


def _by_path(images: ToolImages, answer: Answer) -> Sequence[str]:
    return images.at(answer.image)


def _by_end(images: ToolImages, answer: Answer) -> Sequence[str]:
    return () if answer.bare_name or _is_url(answer.image) else images.ending(answer.image)


def _by_url(images: ToolImages, answer: Answer) -> Sequence[str]:
    if answer.bare_name:
        return ()
    path = path_in(answer.image)
    return [*images.at(path), *images.below_root(path)] or images.ending(path)


def _by_original_name(images: ToolImages, answer: Answer) -> Sequence[str]:
    name = answer.bare_name or _parts(path_in(answer.image))[-1]
    plain = RENAMED.sub(r".\1", UPLOAD_PREFIX.sub("", name))
    if plain == name and not answer.bare_name:
        return ()
    if UPLOAD_PREFIX.match(name):  # my_photo.png may have been "my photo.png", too
        return [*images.ending(plain), *images.uploaded_as(plain)]
    return images.ending(plain) or images.uploaded_as(plain)


def _by_stem(images: ToolImages, answer: Answer) -> Sequence[str]:
    return images.without_suffix(answer.image)


RULES: dict[str, Callable[[ToolImages, Answer], Sequence[str]]] = {
    "dfal_image": _by_dfal_image,
    "path": _by_path,
    "end of path": _by_end,
    "URL": _by_url,
    "name without what the tool added": _by_original_name,
    "name without suffix": _by_stem,
}
"""How images are found, in this order."""


def _parts(name: str) -> Sequence[str]:
    return normalize("NFC", name).replace("\\", "/").strip("/").split("/")


def _stem(image: str) -> str:
    return PurePosixPath(image).with_suffix("").as_posix()


def _have_common_end(one: Sequence[str], other: Sequence[str]) -> bool:
    shorter = min(len(one), len(other))
    return one[-shorter:] == other[-shorter:]


def _grouped(images: Iterable[str], key: Callable[[str], str]) -> Mapping[str, Sequence[str]]:
    groups: dict[str, list[str]] = {}
    for image in images:
        groups.setdefault(key(image), []).append(image)
    return groups
