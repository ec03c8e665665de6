"""Reads dfal's Parquet files; files that are damaged or from other programs are refused."""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
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


def read_parquet(
    path: Path, columns: Mapping[str, str], optional: Sequence[str] = (), only: Collection[str] | None = None
) -> pa.Table:
    """Read columns (name -> type, as in `schemas`) and those of the optional number or vector columns that exist.

    only: those of the columns that are read; None for all. The file must have all of them.
    Raises DataError if the file is damaged or from another program.
    """
    with refusing_damage(path), pq.ParquetFile(path) as file:
        found = file.schema_arrow
        wanted = [*columns, *(name for name in optional if name in found.names and name not in columns)]
        _check_columns(path, found, wanted, columns)
        check_row_count(path, file)
        read = [name for name in wanted if only is None or name in only or name in optional]
        return _checked(file.read(columns=read), read, columns)


def read_parquet_rows(
    path: Path, columns: Mapping[str, str], key: str, values: Sequence[str]
) -> tuple[pa.Table, npt.NDArray[np.intp]]:
    """Read the rows whose `key` is among the values, and return them with their positions in the file.

    One row group is in memory at a time. Raises the errors of `read_parquet`.
    """
    wanted = pa.array(values, pa.string())
    with refusing_damage(path), pq.ParquetFile(path) as file:
        _check_columns(path, file.schema_arrow, list(columns), columns)
        check_row_count(path, file)
        everything = list(columns)
        pieces = [_checked(file.schema_arrow.empty_table(), everything, columns)]
        positions, start = [np.empty(0, np.intp)], 0
        for group in range(file.num_row_groups):
            keys = _checked(file.read_row_group(group, columns=[key]), [key], columns)[key]
            rows = np.flatnonzero(pc.is_in(keys, value_set=wanted).to_numpy())
            if len(rows):
                pieces.append(_checked(file.read_row_group(group, columns=everything), everything, columns).take(rows))
                positions.append(start + rows)
            start += len(keys)
        return pa.concat_tables(pieces), np.concatenate(positions)


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


def _checked(table: pa.Table, names: Sequence[str], columns: Mapping[str, str]) -> pa.Table:
    """Return these columns, cast to their types in `columns`. Raises ArrowException if the data are damaged."""
    table = table.select(names)
    table.validate(full=True)
    for place, name in enumerate(names):
        if name in columns:
            table = table.set_column(place, name, table[name].cast(pa.type_for_alias(columns[name])))
    return table


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
