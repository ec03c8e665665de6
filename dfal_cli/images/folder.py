"""Listing the images under an image root, and resolving their paths within it."""

import functools
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from dfal_cli.images.formats import readable_suffixes, suffix_of, suffixes_not_read
from dfal_cli.images.opening import ImageError, kind_of
from dfal_cli.system.folders import is_hidden

OUTSIDE_LINK = "a link that leaves the image root; use --follow-links to allow such links"
OUTSIDE_PATH = "leaves the image root; use paths without .."


@dataclass
class Skipped:
    """Files under an image root that are not images, but may have been meant as such."""

    hidden: int = 0
    """Number of hidden folders, and of hidden files with an image suffix."""
    others: Counter[str] = field(default_factory=Counter)
    """Number of files in unsupported image formats, by suffix; "" for files without one."""


class Listing(NamedTuple):
    """The files under an image root."""

    images: list[str]
    """POSIX paths relative to the root, sorted. Each is a regular file, or a link to one under the root."""
    unreadable: list[tuple[str, str]]
    """Path and reason of each file with an image suffix that is not an image or cannot be reached; sorted."""
    skipped: Skipped


class _Folder(NamedTuple):
    """A folder to search."""

    path: str
    prefix: str
    """Prefix of the relative paths of its images."""
    above: frozenset[tuple[int, int]]
    """Device and inode of its parent folders; a folder that links to one of them is not entered again."""


def list_images(root: Path, *, below: str = "", follow_links: bool = False) -> Listing:
    r"""Return all images under `root`. Links are followed if they stay under it, or anywhere with `follow_links`.

    below: search only this folder, a POSIX path relative to `root`.
    Names that are not UTF-8 cannot be stored in a table; they are listed as unreadable, with their bytes as \x...
    Raises OSError if the folder itself cannot be read.
    """
    found = Listing([], [], Skipped())
    within = "" if follow_links else os.path.realpath(root)
    start = root / below
    if within and _leaves(os.path.realpath(start), within):
        found.unreadable.append((_as_text(f"{below}/"), OUTSIDE_LINK))
        return found
    os.scandir(start).close()
    above = frozenset(_identity(root / folder) for folder in PurePosixPath(below).parents)
    waiting = [_Folder(str(start), below and f"{below}/", above)]
    while waiting:
        folder = waiting.pop()
        try:
            waiting += _search(folder, within, found)
        except OSError as error:  # no permission, or removed meanwhile
            found.unreadable.append((_as_text(folder.prefix), f"a folder: {error.strerror}"))
    found.images.sort()
    found.unreadable.sort()
    return found


def resolve_image(root: Path, image: str, *, follow_links: bool = False) -> Path:
    """Return the path of an image. Raises ImageError if it is not under the image root.

    With `follow_links`, links may lead outside, but `..` may not.
    """
    path = root / image
    if follow_links:
        if image.startswith("/") or ".." in image.split("/"):
            raise ImageError(OUTSIDE_PATH)
        return path
    is_link = os.path.islink(path)  # noqa: PTH114 - Path's raises if the name is too long
    if (is_link and _leaves(os.path.realpath(path), os.path.realpath(root))) or _folder_leaves(path.parent, root):
        raise ImageError(OUTSIDE_LINK)
    return path


@functools.lru_cache(10_000)
def _folder_leaves(folder: Path, root: Path) -> bool:
    return _leaves(os.path.realpath(folder), os.path.realpath(root))


def _search(folder: _Folder, within: str, found: Listing) -> Iterator[_Folder]:
    """Add the images of a folder to `found`, and yield its subfolders. Raises OSError.

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
    status = os.stat(folder)  # noqa: PTH116 - str paths are faster, and there may be a million
    return status.st_dev, status.st_ino


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _problem_of(entry: os.DirEntry[str], name: str, within: str, *, is_folder: bool) -> str:
    """Return the reason why the entry cannot be read; "" if it can."""
    try:
        if entry.is_symlink() and within and _leaves(os.path.realpath(entry.path, strict=True), within):
            return OUTSIDE_LINK
        if not is_folder and not entry.is_file():
            return f"{kind_of(entry.stat())}, not an image file"
    except OSError as error:  # a broken or circular link
        return str(error.strerror)
    return "" if is_folder or is_text(name) else "its name is not UTF-8; rename it"


def _leaves(real: str, real_root: str) -> bool:
    return not f"{real}/".startswith(f"{real_root.rstrip('/')}/")


def is_text(path: str) -> bool:
    """Return whether a path is UTF-8, so that it can be stored in a table."""
    return _as_text(path) == path


def _as_text(name: str) -> str:
    return os.fsencode(name).decode(errors="backslashreplace")
