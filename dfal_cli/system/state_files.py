"""What dfal keeps for itself between calls: a file that is damaged, or is none, is as good as absent."""

import hashlib
import json
from pathlib import Path
from typing import Any

from dfal_cli.errors import is_transient
from dfal_cli.system.files import atomic_output
from dfal_cli.system.fingerprints import canonical_json

DIGEST_BYTES = hashlib.sha256().digest_size


def write_checked(path: Path, content: bytes | memoryview) -> None:
    """Write the content after its SHA-256, whole and on the disk."""
    with atomic_output(path) as temporary, temporary.open("wb") as handle:
        handle.write(hashlib.sha256(content).digest())
        handle.write(content)


def read_checked(path: Path) -> bytes | None:
    """What `write_checked` has written; None if that is not there, or is damaged. Raises as `_read`."""
    stored = _read(path)
    if stored is None:
        return None
    digest, content = stored[:DIGEST_BYTES], stored[DIGEST_BYTES:]
    return content if hashlib.sha256(content).digest() == digest else None


def write_json(path: Path, value: Any) -> None:
    """Write a value, whole and on the disk."""
    with atomic_output(path) as temporary:
        temporary.write_text(canonical_json(value), encoding="utf-8")


def read_json(path: Path) -> Any:
    """What `write_json` has written, or others, so it may be anything; None if it is no JSON. Raises as `_read`."""
    try:
        return json.loads(_read(path) or b"")
    except (ValueError, RecursionError):  # the latter of brackets without end
        return None


def _read(path: Path) -> bytes | None:
    """What is in a file; None if there is none, or a pipe, at whose end one would wait. Raises momentary OSErrors."""
    try:
        return path.read_bytes() if path.is_file() else None
    except OSError as error:
        if is_transient(error):
            raise
        return None
