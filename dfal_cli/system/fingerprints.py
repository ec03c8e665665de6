"""What tells whether a file, or what an output is made from, is still the one it was."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from dfal_cli.system.files import is_file


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's contents, as `sha256sum` prints it."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_or_empty(path: Path) -> str:
    """The same of a file that may be missing, be none, or not for us to read: "" then."""
    try:
        return sha256_of(path) if is_file(path) else ""
    except OSError:
        return ""


class FileState(NamedTuple):
    """What tells whether a file is still the one it was, without reading it. Times are in nanoseconds."""

    size: int
    modified: int
    inode: int
    """With `changed`, other when a file of the same size and time is put in its place (`mv`, `cp -p`)."""
    changed: int


def file_state(path: str) -> FileState | None:
    """The state of a file; None if it is missing."""
    try:
        status = os.stat(path)  # noqa: PTH116 - of a plain path, as there may be a hundred thousand
    except (OSError, ValueError):
        return None
    return FileState(status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)


def fingerprint(*parts: Any) -> str:
    """SHA-256 of what an output is made from; equal fingerprints mean the output is up to date."""
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()


def digest_of_many(values: Iterable[tuple[object, ...]]) -> str:
    """SHA-256 of very many values, of which no two have the same text, without holding them all."""
    digest = hashlib.sha256()
    for value in values:
        digest.update(f"{value!r}\n".encode())
    return digest.hexdigest()


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no blanks, so that equal values are equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, tuple | set):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no canonical JSON")
