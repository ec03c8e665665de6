"""Parquet as dfal reads it: what another program wrote, or what is damaged, is refused before it is used."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dfal_cli.errors import DataError, is_transient, listed, underlying_os_error
from dfal_cli.schemas import METADATA_KEY, VECTOR_MEASURES

MOST_ROWS_A_BYTE = 10
"""Every row names another image, which takes some room; a file that claims more is damaged, or made to fill memory."""

LONGEST_VECTOR = 1_000_000

Fits = Callable[[pa.DataType], bool]


def _is_text(kind: pa.DataType) -> bool:
    stored = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(stored) or pa.types.is_large_string(stored) or pa.types.is_null(stored))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind))


def is_vector(kind: pa.DataType) -> bool:
    """Whether it is the kind of column in which a measure that is a vector is kept."""
    return bool(
        pa.types.is_fixed_size_list(kind)
        and kind.value_type == pa.float32()
        and 0 < kind.list_size <= LONGEST_VECTOR
    )  # fmt: skip


FITS: dict[str, Fits] = {"string": _is_text, "float32": _is_number, "int32": _is_number, "vector": is_vector}
"""What a column may hold for each kind of it; other programs widen what they write back."""


def read_parquet(path: Path, columns: Mapping[str, str], further: Sequence[str] = ()) -> pa.Table:
    """Read the columns (name -> kind, as in `schemas`), and of the further ones, numbers or vectors, those it has.

    Raises DataError if the file is damaged or another program's.
    """
    with refusing_damage(path), pq.ParquetFile(path) as file:
        found = file.schema_arrow
        wanted = [*columns, *(name for name in further if name in found.names and name not in columns)]
        _check_columns(path, found, wanted, columns)
        if file.metadata.num_rows > MOST_ROWS_A_BYTE * path.stat().st_size:
            raise DataError(f"{path}: damaged: it claims {file.metadata.num_rows:,} rows; score again")
        table = file.read(columns=wanted).select(wanted)
        table.validate(full=True)
        for place, (name, kind) in enumerate(columns.items()):
            table = table.set_column(place, name, table[name].cast(pa.type_for_alias(kind)))
    return table


def read_parquet_metadata(path: Path) -> bytes | None:
    """What dfal stored in a file's footer; None if it did not. Raises DataError if it is no Parquet file."""
    with refusing_damage(path):
        stored: bytes | None = (pq.read_schema(path).metadata or {}).get(METADATA_KEY.encode())
    return stored


@contextlib.contextmanager
def refusing_damage(path: Path) -> Iterator[None]:
    """What the library says in the block about a file it cannot read becomes a DataError, unless it was the moment."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        if is_transient(error) or underlying_os_error(error):
            raise
        raise DataError(f"{path}: not a scores file of dfal, or damaged; score again") from None


def _check_columns(path: Path, found: pa.Schema, wanted: Sequence[str], columns: Mapping[str, str]) -> None:
    missing = [name for name in wanted if name not in found.names]
    if missing:
        raise DataError(f"{path}: no column {' and '.join(missing)}; it is not a scores file of dfal")
    for name in wanted:
        if found.names.count(name) > 1:
            raise DataError(f"{path}: column {name} stands there more than once; score again")
        kind = found.field(name).type
        wanted_kind = columns.get(name, "vector" if name in VECTOR_MEASURES else "float32")
        if not FITS[wanted_kind](kind):
            raise DataError(f"{path}: column {name} holds {listed([str(kind)])}, not {wanted_kind}; score again")
