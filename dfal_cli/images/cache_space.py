"""How much room the cache may take, and what makes way when it is full.

Segments unused for longest go first, but what has been used in the last two days does not go for something new: a pool
larger than the limit would every night push out what it is about to read, and never find anything. So of such a pool a
part stays, and the rest is decoded each time; images that nobody reads any more make way.
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

SHELVES = "*x*x*-*-pillow*"
"""The folders within a cache that are its own; nothing else is ever removed."""

KEPT_SECONDS = 2 * 86_400

DISK_RESERVE = 10**9
"""So much of the disk is left free: the outputs of the commands need it more."""


def bytes_of(size: str) -> int:
    """The number of bytes in `10GB`, `500 MB` or `1.5T`. Raises UsageError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt])b?", size.strip().lower(), re.ASCII)
    if match is None:
        raise UsageError(f"--cache-limit {size}: use a number and kB, MB, GB or TB, such as 10GB")
    return int(float(match[1]) * UNITS[match[2]])


def make_folder(folder: Path) -> None:
    """Make the cache folder. Raises UsageError if it can be none, OSError if it cannot be made now or here."""
    if folder == Path():
        raise UsageError("--cache: name a folder of its own, not the working directory")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file, not a folder (--cache)")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except NotADirectoryError as error:
        raise UsageError(f"{folder}: cannot be made: {error.strerror} (--cache)") from None


def make_room(folder: Path, wanted: int, limit: int) -> bool:
    """Whether `wanted` bytes fit into the cache and on the disk, after removing what may be removed for them.

    A limit lower than before also removes what is in use. Raises OSError.
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
    """Remove what killed commands were writing."""
    for shelf in matching(folder, SHELVES):
        remove_leftovers(shelf, lambda name: name.endswith(SUFFIX))


def matching(folder: Path, pattern: str) -> list[Path]:
    """The files that match; none if the folder cannot be read."""
    try:
        return list(folder.glob(pattern))
    except OSError:
        return []


def _segments(folder: Path) -> list[tuple[float, int, Path]]:
    """When each segment was last used, its size, its path."""
    segments = []
    for file in matching(folder, f"{SHELVES}/*{SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):  # another command has removed it
            status = file.stat()
            segments.append((status.st_mtime, status.st_size, file))
    return segments
