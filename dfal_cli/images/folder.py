"""The images under an image root."""

import functools
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from dfal_cli.images.formats import readable_suffixes, suffix_of, suffixes_not_read
from dfal_cli.images.opening import ImageError, kind_of

LEAVES = "a link that leaves the image root; --follow-links allows that"
CLIMBS = "leaves the image root; name images without .."

HIDDEN_FOLDERS = frozenset({"__MACOSX", "@eaDir"})
"""What archives and network disks put thumbnails and the like into, besides names that begin with a dot."""


@dataclass
class Skipped:
    """What lies under an image root and is no image, though it might seem so."""

    hidden: int = 0
    """Hidden folders, and hidden files with an image's suffix."""
    others: Counter[str] = field(default_factory=Counter)
    """Files that look like images in a format that is not read, by suffix; "" for none."""


class Listing(NamedTuple):
    """What there is under an image root."""

    images: list[str]
    """POSIX paths relative to the root, sorted. Each is a regular file, or a link to one under the root."""
    unreadable: list[tuple[str, str]]
    """What is called an image and is none, or lies where it cannot be reached: the path, as text, and why; sorted."""
    skipped: Skipped


class _Folder(NamedTuple):
    """A folder to be looked through."""

    path: str
    prefix: str
    """Of the paths of its images."""
    above: frozenset[tuple[int, int]]
    """Device and inode of the folders on the way here: a folder that contains itself is entered once."""


def list_images(root: Path, *, below: str = "", follow_links: bool = False) -> Listing:
    r"""All images under `root`. Links are followed as long as they stay under it, or anywhere with `follow_links`.

    below: list only what lies in this folder, which is named by its POSIX path relative to `root`.
    Names that are not UTF-8 cannot stand in a table, and are listed with \x.. for their bytes. Raises OSError if the
    folder itself cannot be read.
    """
    found = Listing([], [], Skipped())
    within = "" if follow_links else os.path.realpath(root)
    start = root / below
    if within and _leaves(os.path.realpath(start), within):
        found.unreadable.append((_as_text(f"{below}/"), LEAVES))
        return found
    os.scandir(start).close()
    above = frozenset(_identity(root / folder) for folder in PurePosixPath(below).parents)
    waiting = [_Folder(str(start), below and f"{below}/", above)]
    while waiting:
        folder = waiting.pop()
        try:
            waiting += _look_through(folder, within, found)
        except OSError as error:  # no permission, or it has vanished
            found.unreadable.append((_as_text(folder.prefix), f"a folder: {error.strerror}"))
    found.images.sort()
    found.unreadable.sort()
    return found


def resolve_image(root: Path, image: str, *, follow_links: bool = False) -> Path:
    """Where an image is. Raises ImageError if it is not under the image root, whoever named it.

    With `follow_links` a link may lead out of it, but no name.
    """
    path = root / image
    if follow_links:
        if image.startswith("/") or ".." in image.split("/"):
            raise ImageError(CLIMBS)
        return path
    is_link = os.path.islink(path)  # noqa: PTH114 - Path's raises if the name is too long
    if (is_link and _leaves(os.path.realpath(path), os.path.realpath(root))) or _folder_leaves(path.parent, root):
        raise ImageError(LEAVES)
    return path


@functools.lru_cache(10_000)
def _folder_leaves(folder: Path, root: Path) -> bool:
    return _leaves(os.path.realpath(folder), os.path.realpath(root))


def is_hidden(name: str) -> bool:
    """Whether a file or folder of that name holds no images of the user's."""
    return name.startswith(".") or name in HIDDEN_FOLDERS


def _look_through(folder: _Folder, within: str, found: Listing) -> Iterator[_Folder]:
    """Note the images of a folder; yield the folders in it. Raises OSError.

    within: the real path that links must not leave; "" if they may lead anywhere.
    """
    this = _identity(folder.path)
    if this in folder.above:
        return
    images, others = readable_suffixes(), suffixes_not_read()
    with os.scandir(folder.path) as entries:
        for entry in entries:
            is_folder, suffix = _is_folder(entry), suffix_of(entry.name)
            wanted = is_folder or suffix in images
            if is_hidden(entry.name):
                found.skipped.hidden += wanted
                continue
            if not wanted:
                found.skipped.others.update(others & {suffix})
                continue
            name = folder.prefix + entry.name + "/" * is_folder
            if problem := _problem_of(entry, name, within, is_folder=is_folder):
                found.unreadable.append((_as_text(name), problem))
            elif is_folder:
                yield _Folder(entry.path, name, folder.above | {this})
            else:
                found.images.append(name)


def _identity(folder: str | Path) -> tuple[int, int]:
    status = os.stat(folder)  # noqa: PTH116 - plain paths throughout: there may be a million of them
    return status.st_dev, status.st_ino


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _problem_of(entry: os.DirEntry[str], name: str, within: str, *, is_folder: bool) -> str:
    """Why the entry is not to be read; "" if it is."""
    try:
        if entry.is_symlink() and within and _leaves(os.path.realpath(entry.path, strict=True), within):
            return LEAVES
        if not is_folder and not entry.is_file():
            return f"{kind_of(entry.stat())}, not an image file"
    except OSError as error:  # a link to nowhere or to itself
        return str(error.strerror)
    return "" if is_folder or is_text(name) else "its name is not UTF-8; rename it"


def _leaves(real: str, real_root: str) -> bool:
    return not f"{real}/".startswith(f"{real_root.rstrip('/')}/")


def is_text(path: str) -> bool:
    """Whether a path is UTF-8, so that it can stand in a file."""
    return _as_text(path) == path


def _as_text(name: str) -> str:
    return os.fsencode(name).decode(errors="backslashreplace")
