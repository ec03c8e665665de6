"""Part files: an .npz of arrays and of a JSON header, with a checksum."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dfal_cli.errors import TryAgainError
from dfal_cli.system.fingerprints import canonical_json
from dfal_cli.system.state_files import read_checked, write_checked

Arrays = dict[str, npt.NDArray[Any]]
"""Results of consecutive batches, concatenated along the first axis. No array may be named HEADER."""

HEADER = "header"
SUFFIX = ".part"


class Part(NamedTuple):
    """A part on disk; it covers the positions from `start` up to, not including, `end`."""

    start: int
    end: int
    file: Path


def write_part_file(file: Path, header: Mapping[str, Any], found: Arrays) -> None:
    """Write a part atomically."""
    content = io.BytesIO()
    np.savez(content, **found, **{HEADER: np.frombuffer(canonical_json(header).encode(), np.uint8)})  # type: ignore[arg-type]
    write_checked(file, content.getbuffer())


def concatenated(blocks: Sequence[Arrays]) -> Arrays:
    """Concatenate the arrays of several blocks by name; a block without images may lack some."""
    names = dict.fromkeys(name for block in blocks for name in block)
    return {name: np.concatenate([block[name] for block in blocks if name in block]) for name in names}


def read_part(part: Part) -> Arrays:
    """Read a part. Raises TryAgainError if it has been removed or damaged since it was listed."""
    stored = read_part_file(part.file)
    if stored is None:
        raise TryAgainError(f"{part.file}: missing or damaged; run the same command again, which computes it again")
    return stored[1]


def read_part_file(file: Path) -> tuple[dict[str, Any], Arrays] | None:
    """Return the header and the arrays of a part; None if it is missing or damaged."""
    content = read_checked(file)
    if content is None:
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        found = dict(arrays)
    return json.loads(found.pop(HEADER).tobytes()), found
