"""Part files: an .npz of arrays and of a JSON header, with a checksum."""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dfal_cli.errors import TryAgainError
from dfal_cli.system.fingerprints import canonical_json
from dfal_cli.system.state_files import is_whole, read_checked, write_checked

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
    content = read_checked(part.file)
    if content is None:
        raise TryAgainError(f"{part.file}: missing or damaged; run the same command again, which computes it again")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files if name != HEADER}


def read_header(file: Path) -> dict[str, Any] | None:
    """Return the header of a part, without its arrays; None if the part is missing or damaged."""
    if not is_whole(file):
        return None
    with zipfile.ZipFile(file) as arrays, arrays.open(f"{HEADER}.npy") as header:
        return dict(json.loads(np.lib.format.read_array(header).tobytes()))
