"""Reads dfal's Parquet files; files that are damaged or from other programs are refused."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dfal_cli.errors import DataError, is_transient, listed, underlying_os_error
from dfal_cli.schemas import METADATA_KEY, VECTOR_MEASURES

MAX_ROWS_PER_BYTE = 10
"""Each row names a different image, which takes space; a file that claims more rows is damaged or malicious."""

MAX_VECTOR_LENGTH = 1_000_000

NOT_PARQUET = "not Parquet, or damaged; write it again"

SCORES_PROBLEM = "not a scores file of dfal, or damaged; score again"


def _is_text(kind: pa.DataType) -> bool:
    stored = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(stored) or pa.types.is_large_string(stored) or pa.types.is_null(stored))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind))


def is_vector(kind: pa.DataType) -> bool:
    """Return whether the type is that of a vector measure's column."""
    return bool(
        pa.types.is_fixed_size_list(kind)
        and kind.value_type == pa.float32()
        and 0 < kind.list_size <= MAX_VECTOR_LENGTH
    )  # fmt: skip


TYPE_CHECKS: dict[str, Callable[[pa.DataType], bool]] = {
    "string": _is_text, "float32": _is_number, "int32": _is_number, "vector": is_vector,
}  # fmt: skip
"""Column type in `schemas` -> test of the stored type; other programs may widen the types when they rewrite a file."""


def read_parquet(path: Path, columns: Mapping[str, str], optional: Sequence[str] = ()) -> pa.Table:
    """Read columns (name -> type, as in `schemas`) and those of the optional number or vector columns that exist.

    Raises DataError if the file is damaged or from another program.
    """
    with refusing_damage(path), pq.ParquetFile(path) as file:
        found = file.schema_arrow
        wanted = [*columns, *(name for name in optional if name in found.names and name not in columns)]
        _check_columns(path, found, wanted, columns)
        check_row_count(path, file)
        table = file.read(columns=wanted).select(wanted)
        table.validate(full=True)
        for place, (name, kind) in enumerate(columns.items()):
            table = table.set_column(place, name, table[name].cast(pa.type_for_alias(kind)))
    return table


def read_parquet_metadata(path: Path) -> bytes | None:
    """Return dfal's metadata in the footer, None if there are none. Raises DataError if the file is not Parquet."""
    with refusing_damage(path):
        stored: bytes | None = (pq.read_schema(path).metadata or {}).get(METADATA_KEY.encode())
    return stored


def column_names(path: Path) -> list[str]:
    """Return the names of the columns of a Parquet file of any program. Raises DataError if it is damaged."""
    with refusing_damage(path, NOT_PARQUET):
        return list(pq.read_schema(path).names)


def read_rows(path: Path, columns: Sequence[str]) -> tuple[list[dict[str, Any]], Mapping[bytes, bytes]]:
    """Return the rows of a Parquet file of any program and its metadata; columns that it lacks are left out.

    Raises DataError if the file is damaged.
    """
    with refusing_damage(path, NOT_PARQUET), pq.ParquetFile(path) as file:
        check_row_count(path, file)
        table = file.read(columns=[name for name in columns if name in file.schema_arrow.names])
        return table.to_pylist(), file.schema_arrow.metadata or {}


def check_row_count(path: Path, file: pq.ParquetFile) -> None:
    """Raise DataError if the file claims more rows than it has room for."""
    if file.metadata.num_rows > MAX_ROWS_PER_BYTE * path.stat().st_size:
        raise DataError(f"{path}: damaged: it claims {file.metadata.num_rows:,} rows; write it again")


@contextlib.contextmanager
def refusing_damage(path: Path, problem: str = SCORES_PROBLEM) -> Iterator[None]:
    """Turn errors of the Parquet library in the block into a DataError, except transient errors of the system."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        if is_transient(error) or underlying_os_error(error):
            raise
        raise DataError(f"{path}: {problem}") from None


def _check_columns(path: Path, found: pa.Schema, wanted: Sequence[str], columns: Mapping[str, str]) -> None:
    missing = [name for name in wanted if name not in found.names]
    if missing:
        raise DataError(f"{path}: no column {' and '.join(missing)}; it is not a scores file of dfal")
    for name in wanted:
        if found.names.count(name) > 1:
            raise DataError(f"{path}: column {name} appears more than once; score again")
        kind = found.field(name).type
        wanted_kind = columns.get(name, "vector" if name in VECTOR_MEASURES else "float32")
        if not TYPE_CHECKS[wanted_kind](kind):
            raise DataError(f"{path}: column {name} holds {listed([str(kind)])}, not {wanted_kind}; score again")
