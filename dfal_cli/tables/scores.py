"""scores.parquet (or .csv): one row per pool image, with the inputs and options of the run in the metadata."""

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
"""Metadata key of a scores CSV: the SHA-256 of the CSV file that the metadata belong to."""
FLOATS = [name for name, kind in SCORES_COLUMNS.items() if kind == "float32"]
INTEGERS = [name for name, kind in SCORES_COLUMNS.items() if kind == "int32"]


class ScoresFile(NamedTuple):
    """A scores table and its metadata."""

    table: pd.DataFrame
    """Missing values are "" in text columns and nan in number columns."""
    metadata: dict[str, Any]


def scores_table(columns: Mapping[str, Any], extra_measures: Mapping[str, Values] | None = None) -> pa.Table:
    """Return rows of a scores file from the values of each column (None = null).

    extra_measures: arrays (n,) or (n, d); values that are not finite become null. Vectors, (n, d), need Parquet.
    """
    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in SCORES_COLUMNS.items()])
    table = pa.table(dict(columns), schema=schema)
    for name, values in (extra_measures or {}).items():
        table = table.append_column(name, as_arrow(values))
    return table


def write_scores(path: Path, tables: Iterable[pa.Table], metadata: dict[str, Any]) -> None:
    """Write one or more tables of rows with their metadata, in the format given by the suffix of `path`."""
    metadata = {"contract": CONTRACT, **metadata}
    if path.suffix.lower() == ".csv":
        with atomic_output(path) as temporary:
            _write_csv(temporary, tables)
            metadata[ROWS_SHA256] = sha256_of(temporary)
            with atomic_output(beside(path, META_SUFFIX)) as sidecar:  # first, so that rows never lack metadata
                sidecar.write_text(canonical_json(metadata) + "\n", encoding="utf-8")
    else:
        with atomic_output(path) as temporary:
            _write_parquet(temporary, iter(tables), {METADATA_KEY: canonical_json(metadata)})


def metadata_matches_rows(path: Path) -> bool:
    """Return whether a scores file and its metadata are from the same run; a kill may leave one of two files older.

    Raises the errors of `read_scores_metadata`.
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


def read_scores(path: Path, extra_measures: Sequence[str] = ()) -> ScoresFile:
    """Read a scores file, with those of the named extra measures that it has.

    A cell of a vector measure is a float32 array (d,), nan where unknown; np.stack turns such a column into (n, d).
    Raises UsageError if the file does not exist, DataError if it is not a valid scores file.
    """
    metadata = read_scores_metadata(path)
    read = _from_csv if path.suffix.lower() == ".csv" else _from_parquet
    table = read(path, extra_measures)
    check_scores(path, table, metadata)
    return ScoresFile(table, metadata)


def read_scores_metadata(path: Path) -> dict[str, Any]:
    """Read only the metadata of a scores file. Raises the errors of `read_scores`."""
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
        raise DataError(f"{place}: no valid dfal metadata; write {path.name} again with `dfal score`") from None
    found = metadata.get("contract") if isinstance(metadata, dict) else None
    if found != CONTRACT:
        raise DataError(
            f"{place}: from another version of dfal (contract {shown(str(found))[1:-1]}, not {CONTRACT}); score again"
        )
    check_metadata(place, metadata)
    return dict(metadata)


def _from_parquet(path: Path, extra_measures: Sequence[str]) -> pd.DataFrame:
    return scores_frame(read_parquet(path, SCORES_COLUMNS, extra_measures))


def scores_frame(stored: pa.Table) -> pd.DataFrame:
    """Return a scores table as `read_scores` does: missing values are "" in text columns and nan in number columns."""
    vectors = [field.name for field in stored.schema if is_vector(field.type)]
    table = stored.drop_columns(vectors).to_pandas()
    text = [name for name, kind in SCORES_COLUMNS.items() if kind == "string"]
    cells = {name: cells_of(stored[name]) for name in vectors}
    whole: pd.DataFrame = table.assign(**{name: table[name].fillna("") for name in text}, **cells)
    return whole.reindex(columns=stored.column_names)


def _as_text(table: pa.Table) -> pd.DataFrame:
    """Return the table as text; numbers have the fewest digits that read back as the same float32."""
    frame: pd.DataFrame = table.to_pandas()
    text = {name: number_texts(frame[name]) for name in table.column_names if frame[name].dtype == "float32"}
    integers = {name: frame[name].astype("Int32").astype("string") for name in INTEGERS}
    return frame.assign(**text, **integers).fillna("").astype(str)


def _from_csv(path: Path, extra_measures: Sequence[str]) -> pd.DataFrame:
    table = read_csv(path, required=tuple(SCORES_COLUMNS))
    numbers = [*FLOATS, *INTEGERS, *(name for name in extra_measures if name in table and name not in VECTOR_MEASURES)]
    table = table.drop(columns=[name for name in VECTOR_MEASURES if name in table])  # CSV cannot hold vectors
    return table.assign(**{name: _numbers(path, table[name]) for name in numbers})


def _numbers(path: Path, texts: "pd.Series[str]") -> "pd.Series[float]":
    """Convert text to float32 and "" to nan. Raises DataError, with the line, for text that is not a number."""
    numbers: pd.Series[float] = pd.to_numeric(texts, errors="coerce")
    wrong = numbers.isna() & (texts != "")
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise DataError(f"{path}, line {line_of(path, row)}: {texts.name}: {shown(texts[row])} is not a number")
    with np.errstate(over="ignore"):  # a number too large becomes infinite, which check_scores refuses
        return numbers.astype("float32")


def number_texts(numbers: "pd.Series[float]") -> list[str]:
    """Return float32 numbers as text, nan as ""."""
    return ["" if np.isnan(number) else str(number) for number in numbers.to_numpy("float32")]
