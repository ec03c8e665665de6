"""Files that dfal keeps for itself between calls; a damaged file is treated as missing."""

import hashlib
import json
from pathlib import Path
from typing import Any

from dfal_cli.errors import is_transient
from dfal_cli.system.files import atomic_output
from dfal_cli.system.fingerprints import canonical_json

DIGEST_BYTES = hashlib.sha256().digest_size


def write_checked(path: Path, content: bytes | memoryview) -> None:
    """Write the SHA-256 of the content and the content, atomically and synced to disk."""
    with atomic_output(path) as temporary, temporary.open("wb") as handle:
        handle.write(hashlib.sha256(content).digest())
        handle.write(content)


def read_checked(path: Path) -> bytes | None:
    """Return the content that `write_checked` wrote; None if it is missing or damaged. Raises transient OSErrors."""
    stored = _read(path)
    if stored is None:
        return None
    digest, content = stored[:DIGEST_BYTES], stored[DIGEST_BYTES:]
    return content if hashlib.sha256(content).digest() == digest else None


def is_whole(path: Path) -> bool:
    """Return whether `read_checked` would return content, without holding it in memory. Raises transient OSErrors."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as handle:
            digest = handle.read(DIGEST_BYTES)
            return hashlib.file_digest(handle, "sha256").digest() == digest
    except OSError as error:
        if is_transient(error):
            raise
        return False


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, atomically and synced to disk."""
    with atomic_output(path) as temporary:
        temporary.write_text(canonical_json(value), encoding="utf-8")


def read_json(path: Path) -> Any:
    """Return the value in a JSON file, which may be any value; None if it is missing or not JSON.

    Raises transient OSErrors.
    """
    try:
        return json.loads(_read(path) or b"")
    except (ValueError, RecursionError):  # RecursionError: deeply nested brackets
        return None


def _read(path: Path) -> bytes | None:
    """Return the contents of a regular file; None if it is missing or not one. Raises transient OSErrors."""
    try:
        return path.read_bytes() if path.is_file() else None
    except OSError as error:
        if is_transient(error):
            raise
        return None
