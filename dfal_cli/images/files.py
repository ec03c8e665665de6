"""The file of an image: a file on disk, or one that is packed into a tar or kept in an object store."""

import hashlib
import shutil
from pathlib import Path
from typing import IO, Protocol

from dfal_cli.system.fingerprints import FileState, file_state, sha256_or_empty
from dfal_cli.system.folders import Put

MOST_BYTES = 10**9
"""Maximum size of a file: some decoders read the whole file, or as much as it claims to hold, into memory."""


class PackedFile(Protocol):
    """A file that has no path of its own."""

    @property
    def name(self) -> str:
        """The path of the image where it is packed, whose suffix is that of the image."""

    def __hash__(self) -> int: ...

    def state(self) -> FileState | None:
        """Return the size, and numbers that change with the contents; None if there is no such file."""

    def open(self) -> IO[bytes]:
        """Open the file for reading, independently of other threads. Raises FileNotFoundError."""


ImageFile = Path | PackedFile


def state_of(file: ImageFile) -> FileState | None:
    """Return the state of a file, which changes with it and is quick to read; None if the file is missing."""
    return file_state(str(file)) if isinstance(file, Path) else file.state()


def contents_of(file: ImageFile) -> bytes:
    """Return the whole file. Raises OSError."""
    if isinstance(file, Path):
        return file.read_bytes()
    with file.open() as handle:
        return handle.read()


def put(file: ImageFile, path: Path, link_or_copy: Put) -> None:
    """Make an image appear at a path: a file on disk as a link or copy, any other as a copy. Raises OSError."""
    if isinstance(file, Path):
        link_or_copy(file, path)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with file.open() as source, path.open("xb") as copy:
        shutil.copyfileobj(source, copy)


def hash_of(file: ImageFile) -> str:
    """Return the SHA-256 of the contents; "" if the file is missing, not readable, or packed and too large."""
    if isinstance(file, Path):
        return sha256_or_empty(file)
    state = file.state()
    if state is None or state.size > MOST_BYTES:
        return ""
    try:
        with file.open() as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()  # type: ignore[arg-type]
    except OSError:
        return ""
