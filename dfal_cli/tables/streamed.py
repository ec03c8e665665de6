"""Tables that are written in pieces, as Parquet or CSV, with metadata: in the footer, or in <out>.meta.json."""

import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dfal_cli.errors import DataError, shown
from dfal_cli.schemas import CONTRACT, META_SUFFIX, METADATA_KEY
from dfal_cli.system.files import atomic_output, beside
from dfal_cli.system.fingerprints import canonical_json, sha256_of
from dfal_cli.tables.csv_files import to_csv
from dfal_cli.tables.parquet import read_parquet_metadata

SUFFIXES = (".parquet", ".csv")
ROWS_SHA256 = "rows_sha256"
"""Metadata key of a CSV: the SHA-256 of the CSV file that the metadata belong to."""


def is_csv(path: Path) -> bool:
    """Return whether the suffix is that of CSV."""
    return path.suffix.lower() == ".csv"


def write_tables(path: Path, tables: Iterable[pa.Table], metadata: dict[str, Any]) -> None:
    """Write one or more tables of rows with their metadata, in the format given by the suffix of `path`."""
    metadata = {"contract": CONTRACT, **metadata}
    if is_csv(path):
        with atomic_output(path) as temporary:
            _write_csv(temporary, tables)
            metadata[ROWS_SHA256] = sha256_of(temporary)
            with atomic_output(beside(path, META_SUFFIX)) as sidecar:  # first, so that rows never lack metadata
                sidecar.write_text(canonical_json(metadata) + "\n", encoding="utf-8")
    else:
        with atomic_output(path) as temporary:
            _write_parquet(temporary, iter(tables), {METADATA_KEY: canonical_json(metadata)})


def place_of_metadata(path: Path) -> Path:
    """Return the file that holds the metadata of a table."""
    return beside(path, META_SUFFIX) if is_csv(path) else path


def read_metadata(path: Path, command: str) -> dict[str, Any]:
    """Read only the metadata of a table. command: the one that writes such tables, for messages.

    Raises DataError if there are none, or if they are from another version of dfal.
    """
    place = place_of_metadata(path)
    try:
        stored = place.read_bytes() if is_csv(path) else read_parquet_metadata(path)
    except FileNotFoundError:
        raise DataError(f"{place}: no such file; it belongs to {path.name}") from None
    try:
        metadata = json.loads(stored or b"")
    except (ValueError, RecursionError):
        raise DataError(f"{place}: no valid dfal metadata; write {path.name} again with `{command}`") from None
    found = metadata.get("contract") if isinstance(metadata, dict) else None
    if found != CONTRACT:
        again = command.removeprefix("dfal ")
        raise DataError(
            f"{place}: from another version of dfal (contract {shown(str(found))[1:-1]}, not {CONTRACT}); {again} again"
        )
    return dict(metadata)


def rows_match(path: Path, metadata: dict[str, Any]) -> bool:
    """Return whether a table and its metadata are from the same run; a kill may leave one of two files older."""
    return not is_csv(path) or metadata.get(ROWS_SHA256) == sha256_of(path)


def number_texts(numbers: "pd.Series[float]") -> list[str]:
    """Return float32 numbers as text, nan as ""."""
    return ["" if np.isnan(number) else str(number) for number in numbers.to_numpy("float32")]


def _write_csv(path: Path, tables: Iterable[pa.Table]) -> None:
    with path.open("w", encoding="utf-8", newline="") as handle:
        for number, table in enumerate(tables):
            handle.write(to_csv(_as_text(table), header=number == 0))


def _write_parquet(path: Path, tables: Iterator[pa.Table], metadata: dict[str, str]) -> None:
    first = next(tables).replace_schema_metadata(metadata)
    with pq.ParquetWriter(path, first.schema) as writer:
        for table in itertools.chain([first], tables):
            writer.write_table(table)


def _as_text(table: pa.Table) -> pd.DataFrame:
    """Return the table as text; numbers have the fewest digits that read back as the same float32."""
    frame: pd.DataFrame = table.to_pandas()
    text = {name: number_texts(frame[name]) for name in table.column_names if frame[name].dtype == "float32"}
    kinds = {field.name: field.type for field in table.schema}
    integers = {
        name: frame[name].astype("Int32").astype("string") for name, kind in kinds.items() if pa.types.is_integer(kind)
    }
    booleans = {
        name: frame[name].map({True: "yes", False: "no"}) for name, kind in kinds.items() if pa.types.is_boolean(kind)
    }
    return frame.assign(**text, **integers, **booleans).fillna("").astype(str)
