"""The size limit of the image cache, and which segments are removed when it is full.

The least recently used segments are removed first, but none that was used in the last two days. Otherwise a pool larger
than the cache would evict its own images every night before reading them. With this rule a part of such a pool stays
cached, the rest is decoded each time, and images that are no longer read make way.
"""

import contextlib
import errno
import re
import shutil
import time
from pathlib import Path

from dfal_cli.errors import UsageError
from dfal_cli.images.segments import SUFFIX
from dfal_cli.system.files import remove_leftovers

UNITS = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}

STORES = "*x*x*-*-pillow*"
"""Pattern of the cache's own subfolders; nothing else is ever removed."""

KEPT_SECONDS = 2 * 86_400
"""Time since its last use during which a segment is not removed."""

DISK_RESERVE = 10**9
"""Bytes of the disk left free for the outputs of commands."""


def bytes_of(size: str) -> int:
    """Return the number of bytes in `10GB`, `500 MB` or `1.5T`. Raises UsageError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt])b?", size.strip().lower(), re.ASCII)
    if match is None:
        raise UsageError(f"--cache-limit {size}: must be a number and kB, MB, GB or TB, such as 10GB")
    return int(float(match[1]) * UNITS[match[2]])


def make_folder(folder: Path) -> None:
    """Create the cache folder. Raises UsageError for an unsuitable path, OSError if creating it fails."""
    if folder == Path():
        raise UsageError("--cache: must be a folder of its own, not the working directory")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file, not a folder (--cache)")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except NotADirectoryError as error:
        raise UsageError(f"{folder}: cannot be created: {error.strerror} (--cache)") from None


def make_room(folder: Path, wanted: int, limit: int) -> bool:
    """Remove segments to make room for `wanted` bytes; return whether these fit into the limit now.

    If the cache exceeds the limit, because it was lowered, recently used segments are removed too. Raises OSError, also
    if the disk is nearly full.
    """
    segments = sorted(_segments(folder))
    total = sum(size for _, size, _ in segments)
    for used, size, file in segments:
        if total + wanted <= limit or (total <= limit and used > time.time() - KEPT_SECONDS):
            break
        file.unlink(missing_ok=True)
        total -= size
    if wanted > shutil.disk_usage(folder).free - DISK_RESERVE:
        raise OSError(errno.ENOSPC, "less than 1 GB of its disk would be left free")
    return total + wanted <= limit


def clear_leftovers(folder: Path) -> None:
    """Remove the temporary files of killed commands."""
    for store in matching(folder, STORES):
        remove_leftovers(store, lambda name: name.endswith(SUFFIX))


def matching(folder: Path, pattern: str) -> list[Path]:
    """Return the paths that match; none if the folder cannot be read."""
    try:
        return list(folder.glob(pattern))
    except OSError:
        return []


def _segments(folder: Path) -> list[tuple[float, int, Path]]:
    """Return the time of the last use, the size and the path of each segment."""
    segments = []
    for file in matching(folder, f"{STORES}/*{SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):  # another command has removed it
            status = file.stat()
            segments.append((status.st_mtime, status.st_size, file))
    return segments
