"""scores.parquet (or .csv): one row per pool image, with what it was made from in its metadata."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dfal_cli.errors import DataError, shown
from dfal_cli.schemas import CONTRACT, META_SUFFIX, METADATA_KEY, SCORES_COLUMNS, VECTOR_MEASURES
from dfal_cli.system.files import atomic_output, beside
from dfal_cli.system.fingerprints import canonical_json, sha256_of
from dfal_cli.system.paths import must_exist
from dfal_cli.tables.csv_files import line_of, read_csv, to_csv
from dfal_cli.tables.parquet import is_vector, read_parquet, read_parquet_metadata
from dfal_cli.tables.scores_checks import check_metadata, check_scores
from dfal_cli.tables.vectors import Values, as_arrow, cells_of

SUFFIXES = (".parquet", ".csv")
ROWS_SHA256 = "rows_sha256"
"""Metadata of a CSV: the file they belong to."""
FLOATS = [name for name, kind in SCORES_COLUMNS.items() if kind == "float32"]
INTEGERS = [name for name, kind in SCORES_COLUMNS.items() if kind == "int32"]


class ScoresFile(NamedTuple):
    """A scores table and its metadata."""

    table: pd.DataFrame
    """Text columns hold "" where there is nothing, numbers nan."""
    metadata: dict[str, Any]


def scores_table(columns: Mapping[str, Any], further: Mapping[str, Values] | None = None) -> pa.Table:
    """Some rows of a scores file, from the values of each column (None = null).

    further: more measures, (n,) or (n, d) each; what is not finite is null. Vectors, (n, d), need Parquet.
    """
    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in SCORES_COLUMNS.items()])
    table = pa.table(dict(columns), schema=schema)
    for name, values in (further or {}).items():
        table = table.append_column(name, as_arrow(values))
    return table


def write_scores(path: Path, tables: Iterable[pa.Table], metadata: dict[str, Any]) -> None:
    """Write the rows, one or more tables of them, with their metadata, as the suffix of `path` says."""
    metadata = {"contract": CONTRACT, **metadata}
    if path.suffix.lower() == ".csv":
        with atomic_output(path) as temporary:
            _write_csv(temporary, tables)
            metadata[ROWS_SHA256] = sha256_of(temporary)
            with atomic_output(beside(path, META_SUFFIX)) as told:  # first, so that no rows are without
                told.write_text(canonical_json(metadata) + "\n", encoding="utf-8")
    else:
        with atomic_output(path) as temporary:
            _write_parquet(temporary, iter(tables), {METADATA_KEY: canonical_json(metadata)})


def metadata_matches_rows(path: Path) -> bool:
    """Whether a scores file is the one that its metadata were written with; of two files a kill may leave one older.

    Raises as `read_scores_metadata`.
    """
    return path.suffix.lower() != ".csv" or read_scores_metadata(path).get(ROWS_SHA256) == sha256_of(path)


def _write_csv(path: Path, tables: Iterable[pa.Table]) -> None:
    with path.open("w", encoding="utf-8", newline="") as handle:
        for number, table in enumerate(tables):
            handle.write(to_csv(_as_text(table), header=number == 0))


def _write_parquet(path: Path, tables: Iterator[pa.Table], metadata: dict[str, str]) -> None:
    first = next(tables).replace_schema_metadata(metadata)
    with pq.ParquetWriter(path, first.schema) as writer:
        for table in itertools.chain([first], tables):
            writer.write_table(table)


def read_scores(path: Path, further: Sequence[str] = ()) -> ScoresFile:
    """Read a scores file, and of the further measures those that are named here and stand in it.

    A cell of a vector is an array (d,) float32, nan where it is not known; np.stack makes one of a column's.
    Raises UsageError if the file does not exist, DataError if it is not one.
    """
    metadata = read_scores_metadata(path)
    table = _from_text(path, further) if path.suffix.lower() == ".csv" else _from_parquet(path, further)
    check_scores(path, table, metadata)
    return ScoresFile(table, metadata)


def read_scores_metadata(path: Path) -> dict[str, Any]:
    """Read only what a scores file was made from. Raises as `read_scores`."""
    must_exist(path, "--scores")
    is_csv = path.suffix.lower() == ".csv"
    place = beside(path, META_SUFFIX) if is_csv else path
    try:
        stored = place.read_bytes() if is_csv else read_parquet_metadata(path)
    except FileNotFoundError:
        raise DataError(f"{place}: no such file; it belongs to {path.name}") from None
    try:
        metadata = json.loads(stored or b"")
    except (ValueError, RecursionError):
        raise DataError(f"{place}: not of a scores file of dfal; `dfal score` writes {path.name} anew") from None
    found = metadata.get("contract") if isinstance(metadata, dict) else None
    if found != CONTRACT:
        raise DataError(
            f"{place}: not of this version of dfal (contract {shown(str(found))[1:-1]}, not {CONTRACT}); score again"
        )
    check_metadata(place, metadata)
    return dict(metadata)


def _from_parquet(path: Path, further: Sequence[str]) -> pd.DataFrame:
    stored = read_parquet(path, SCORES_COLUMNS, further)
    vectors = [field.name for field in stored.schema if is_vector(field.type)]
    table = stored.drop_columns(vectors).to_pandas()
    text = [name for name, kind in SCORES_COLUMNS.items() if kind == "string"]
    cells = {name: cells_of(stored[name]) for name in vectors}
    whole: pd.DataFrame = table.assign(**{name: table[name].fillna("") for name in text}, **cells)
    return whole.reindex(columns=stored.column_names)


def _as_text(table: pa.Table) -> pd.DataFrame:
    """Numbers in the fewest digits that read back as the same float32."""
    frame: pd.DataFrame = table.to_pandas()
    text = {name: number_texts(frame[name]) for name in table.column_names if frame[name].dtype == "float32"}
    integers = {name: frame[name].astype("Int32").astype("string") for name in INTEGERS}
    return frame.assign(**text, **integers).fillna("").astype(str)


def _from_text(path: Path, further: Sequence[str]) -> pd.DataFrame:
    table = read_csv(path, required=tuple(SCORES_COLUMNS))
    numbers = [*FLOATS, *INTEGERS, *(name for name in further if name in table and name not in VECTOR_MEASURES)]
    table = table.drop(columns=[name for name in VECTOR_MEASURES if name in table])  # they are in Parquet only
    return table.assign(**{name: _numbers(path, table[name]) for name in numbers})


def _numbers(path: Path, texts: "pd.Series[str]") -> "pd.Series[float]":
    """Text to float32, "" to nan; a number that cannot be read is not taken for an unknown one."""
    numbers: pd.Series[float] = pd.to_numeric(texts, errors="coerce")
    wrong = numbers.isna() & (texts != "")
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise DataError(f"{path}, line {line_of(path, row)}: {texts.name}: {shown(texts[row])} is not a number")
    with np.errstate(over="ignore"):  # what is too large is infinite, and refused as such
        return numbers.astype("float32")


def number_texts(numbers: "pd.Series[float]") -> list[str]:
    """float32 numbers as text, nan as ""."""
    return ["" if np.isnan(number) else str(number) for number in numbers.to_numpy("float32")]
