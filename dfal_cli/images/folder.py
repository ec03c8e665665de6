"""The images under an image root."""

import os
from pathlib import Path

from dfal_cli.errors import DataError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp"})


def list_images(root: Path) -> list[str]:
    """POSIX paths of all images under `root`, relative to it, sorted.

    Links are followed as long as they stay under the root; a folder that contains itself is entered once. Only regular
    files count: a FIFO or device named .png would hang its reader. Raises DataError if a name is not UTF-8.
    """
    found: list[str] = []
    _walk(root, "", root.resolve(), frozenset(), found)
    found.sort()  # in place: there may be a million
    return found


def _walk(folder: Path, prefix: str, root: Path, above: frozenset[Path], found: list[str]) -> None:
    """Append the images of `folder`; `above` are the real folders on the way here, by which a loop is known."""
    real = folder.resolve()
    if real in above or not real.is_relative_to(root):
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if _is_folder(entry):
                _walk(Path(entry.path), f"{prefix}{entry.name}/", root, above | {real}, found)
            elif _is_image(entry) and (not entry.is_symlink() or Path(entry.path).resolve().is_relative_to(root)):
                found.append(_as_text(prefix + entry.name, root))


def _as_text(name: str, root: Path) -> str:
    """The name, or DataError: one that is not UTF-8 cannot stand in a table."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise DataError(f"{root}: the file name {name!r} is not UTF-8; rename the file") from None
    return name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_image(entry: os.DirEntry[str]) -> bool:
    suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - there may be a million of them
    return suffix in SUFFIXES and entry.is_file()
