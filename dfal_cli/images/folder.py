"""Listing the images in a folder and in the tars in it, and resolving their paths within it."""

import functools
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from dfal_cli.images.formats import readable_suffixes, suffix_of, suffixes_not_read
from dfal_cli.images.listing import NOT_UTF8, OUTSIDE_PATH, Listing, Skipped, as_text, is_text, leads_up
from dfal_cli.images.opening import ImageError, kind_of
from dfal_cli.images.tars import list_tar
from dfal_cli.system.folders import is_hidden
from dfal_cli.system.image_roots import TAR

OUTSIDE_LINK = "a link that leaves the image root; use --follow-links to allow such links"


class _Folder(NamedTuple):
    """A folder to search."""

    path: str
    prefix: str
    """Prefix of the relative paths of its images."""
    above: frozenset[tuple[int, int]]
    """Device and inode of its parent folders; a folder that links to one of them is not entered again."""


def list_folder(root: Path, *, below: str = "", follow_links: bool = False) -> Listing:
    r"""Return all images under `root`. Links are followed if they stay under it, or anywhere with `follow_links`.

    A tar is read like a folder: the name of an image in it begins with that of the tar, so that each name is unique.

    below: search only this folder, a POSIX path relative to `root`.
    Names that are not UTF-8 cannot be stored in a table; they are listed as unreadable, with their bytes as \x...
    Raises OSError if the folder itself cannot be read.
    """
    found = Listing([], [], Skipped())
    within = "" if follow_links else os.path.realpath(root)
    start = root / below
    if within and _leaves(os.path.realpath(start), within):
        found.unreadable.append((as_text(f"{below}/"), OUTSIDE_LINK))
        return found
    os.scandir(start).close()
    above = frozenset(_identity(root / folder) for folder in PurePosixPath(below).parents)
    waiting = [_Folder(str(start), below and f"{below}/", above)]
    while waiting:
        folder = waiting.pop()
        try:
            waiting += _search(folder, within, found)
        except OSError as error:  # no permission, or removed meanwhile
            found.unreadable.append((as_text(folder.prefix), f"a folder: {error.strerror}"))
    found.images.sort()
    found.unreadable.sort()
    return found


def resolve_in_folder(root: Path, image: str, *, follow_links: bool = False) -> Path:
    """Return the path of an image. Raises ImageError if it is not under the image root.

    With `follow_links`, links may lead outside, but `..` may not.
    """
    path = root / image
    if follow_links:
        if leads_up(image):
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
            wanted = is_folder or suffix in images or suffix == TAR
            if is_hidden(entry.name):
                found.skipped.hidden += wanted
                continue
            if not wanted:
                found.skipped.others.update(others & {suffix})
                continue
            name = folder.prefix + entry.name + "/" * (is_folder or suffix == TAR)
            if problem := _problem_of(entry, name, within, is_folder=is_folder):
                found.unreadable.append((as_text(name), problem))
            elif is_folder:
                yield _Folder(entry.path, name, folder.above | {this})
            elif suffix == TAR:
                list_tar(entry.path, name, found)
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
    return "" if is_folder or is_text(name) else NOT_UTF8


def _leaves(real: str, real_root: str) -> bool:
    return not f"{real}/".startswith(f"{real_root.rstrip('/')}/")
