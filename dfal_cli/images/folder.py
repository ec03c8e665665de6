"""The images under an image root."""

import os
from pathlib import Path

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp"})


def list_images(root: Path) -> list[str]:
    """POSIX paths of all images under `root`, relative to it, sorted.

    Links are followed as long as they stay under the root; a folder that contains itself is entered once. Only regular
    files count: a FIFO or device named .png would hang its reader.
    """
    found: list[str] = []
    _walk(root, "", root.resolve(), frozenset(), found)
    return sorted(found)


def _walk(folder: Path, prefix: str, root: Path, above: frozenset[Path], found: list[str]) -> None:
    """Append the images of `folder`; `above` are the real folders on the way here, by which a loop is known."""
    real = folder.resolve()
    if real in above or not real.is_relative_to(root):
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                _walk(Path(entry.path), f"{prefix}{entry.name}/", root, above | {real}, found)
            elif _is_image(entry) and (not entry.is_symlink() or Path(entry.path).resolve().is_relative_to(root)):
                found.append(prefix + entry.name)


def _is_image(entry: os.DirEntry[str]) -> bool:
    return os.path.splitext(entry.name)[1].lower() in SUFFIXES and entry.is_file()  # noqa: PTH122 - a million of them
