"""Fingerprints of files and of the inputs of an output, which tell whether they have changed."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from dfal_cli.errors import TryAgainError
from dfal_cli.system.files import is_file


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's contents, as `sha256sum` prints it."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_or_empty(path: Path) -> str:
    """Return the SHA-256 of a file's contents; "" if it is missing, not a regular file, or not readable."""
    try:
        return sha256_of(path) if is_file(path) else ""
    except OSError:
        return ""


def must_be_unchanged(path: Path, found: str, expected: str) -> None:
    """Raise TryAgainError if a file that has been read is not the one whose hash was taken before."""
    if found != expected:
        raise TryAgainError(f"{path}: has just been replaced; run the same command again")


class FileState(NamedTuple):
    """File status that changes with the file's contents. Times are in nanoseconds."""

    size: int
    modified: int
    inode: int
    """`inode` and `changed` differ if another file of equal size and time takes the file's place (`mv`, `cp -p`)."""
    changed: int


def file_state(path: str | int) -> FileState | None:
    """Return the state of a file, given by its path or descriptor; None if it is missing."""
    try:
        status = os.stat(path)  # noqa: PTH116 - faster than pathlib, as there may be a hundred thousand paths
    except (OSError, ValueError):
        return None
    return FileState(status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)


def fingerprint(*parts: Any) -> str:
    """Return the SHA-256 of the inputs of an output; an output with an equal fingerprint is up to date."""
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()


def digest_of_many(values: Iterable[tuple[object, ...]]) -> str:
    """Return the SHA-256 of a stream of values, whose texts must be distinct."""
    digest = hashlib.sha256()
    for value in values:
        digest.update(f"{value!r}\n".encode())
    return digest.hexdigest()


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no whitespace, so that equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, tuple | set):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no canonical JSON")
