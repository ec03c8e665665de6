"""Files that a command writes or removes beside an output. A file of somebody else's is never touched."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from dfal_cli.errors import DataError, UsageError
from dfal_cli.schemas import (
    BACKBONE_SUFFIX,
    LABELLED_SUFFIX,
    META_SUFFIX,
    METADATA_KEY,
    PSEUDO_COLUMNS,
    PSEUDO_SUFFIX,
    UNREADABLE_COLUMNS,
    UNREADABLE_SUFFIX,
)
from dfal_cli.system.files import beside
from dfal_cli.system.state_files import read_json
from dfal_cli.tables.parquet import read_parquet_metadata


def refuse_foreign_files(out: Path, suffixes: Iterable[str]) -> None:
    """Raise UsageError if a companion of `out` exists that dfal did not write.

    If the output itself exists, its companions are dfal's, damaged or not.
    """
    if out.exists():
        return
    for suffix in suffixes:
        path = beside(out, suffix)
        if path.exists() and not (path.is_file() and IS_DFAL_FILE[suffix](path)):
            raise UsageError(
                f"{path}: exists and was not written by dfal; choose another --out, or use --force to overwrite it"
            )


def _has_header(columns: Sequence[str], path: Path) -> bool:
    header = ",".join(columns).encode() + b"\n"
    with path.open("rb") as handle:
        return handle.read(len(header)) == header


def _is_metadata(path: Path) -> bool:
    stored = read_json(path)
    return isinstance(stored, dict) and "contract" in stored


def _is_dfal_parquet(path: Path) -> bool:
    try:
        return read_parquet_metadata(path) is not None
    except DataError:
        return False


def _is_backbone(path: Path) -> bool:
    start = f'{{"__metadata__":{{"{METADATA_KEY}":'.encode()
    with path.open("rb") as handle:
        handle.seek(8)  # after the length of the header
        return handle.read(len(start)) == start


IS_DFAL_FILE: dict[str, Callable[[Path], bool]] = {
    META_SUFFIX: _is_metadata,
    BACKBONE_SUFFIX: _is_backbone,
    UNREADABLE_SUFFIX: partial(_has_header, UNREADABLE_COLUMNS),
    LABELLED_SUFFIX: _is_dfal_parquet,
    PSEUDO_SUFFIX: partial(_has_header, PSEUDO_COLUMNS),
}
"""For each companion, the test that dfal wrote it."""
