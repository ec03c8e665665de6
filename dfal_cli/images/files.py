"""The file of an image: a file on disk, or one that is packed into a tar or kept in an object store."""

import hashlib
from pathlib import Path
from typing import IO, Protocol

from dfal_cli.system.fingerprints import FileState, file_state, sha256_or_empty
from dfal_cli.system.folders import Put


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
    path.write_bytes(contents_of(file))


def hash_of(file: ImageFile) -> str:
    """Return the SHA-256 of the contents; "" if the file is missing or not readable."""
    if isinstance(file, Path):
        return sha256_or_empty(file)
    try:
        return hashlib.sha256(contents_of(file)).hexdigest()
    except OSError:
        return ""
