"""scores.parquet (or .csv): one row per pool image, with the inputs and options of the run in the metadata."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from dfal_cli.errors import DataError, TryAgainError, shown
from dfal_cli.schemas import IMAGE, SCORES_COLUMNS, VECTOR_MEASURES
from dfal_cli.system.paths import must_exist
from dfal_cli.tables.csv_files import line_of, read_csv
from dfal_cli.tables.parquet import is_vector, read_parquet, read_parquet_rows
from dfal_cli.tables.scores_checks import check_metadata, check_scores
from dfal_cli.tables.streamed import is_csv, place_of_metadata, read_metadata, rows_match, write_tables
from dfal_cli.tables.vectors import Values, as_arrow, cells_of

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
    write_tables(path, tables, metadata)


def metadata_matches_rows(path: Path) -> bool:
    """Return whether a scores file and its metadata are from the same run. Raises as `read_scores_metadata`."""
    return rows_match(path, read_scores_metadata(path))


def read_scores(path: Path, extra_measures: Sequence[str] = (), columns: Collection[str] | None = None) -> ScoresFile:
    """Read a scores file, with those of the named extra measures that it has.

    A cell of a vector measure is a float32 array (d,), nan where unknown; np.stack turns such a column into (n, d).
    columns: those that are read of a Parquet file, with the image; None for all. Only what is read is checked.
    Raises UsageError if the file does not exist, DataError if it is not a valid scores file.
    """
    metadata = read_scores_metadata(path)
    if is_csv(path):
        table = _from_csv(path, extra_measures)
    else:
        only = None if columns is None else {IMAGE, *columns}
        table = scores_frame(read_parquet(path, SCORES_COLUMNS, extra_measures, only))
    check_scores(path, table, metadata)
    return ScoresFile(table, metadata)


def complete_scores(path: Path, rows: pd.DataFrame) -> pd.DataFrame:
    """Return some rows of `read_scores` with the columns that were not read for the whole file.

    Raises the errors of `read_scores`, and TryAgainError if the file is not the same any more.
    """
    lacking = [name for name in SCORES_COLUMNS if name not in rows]
    if not lacking:
        return rows
    stored, positions = read_parquet_rows(path, SCORES_COLUMNS, IMAGE, rows[IMAGE].tolist())
    found = scores_frame(stored).set_axis(positions)
    check_scores(path, found, read_scores_metadata(path))
    found = found.set_index(IMAGE)
    if not rows[IMAGE].isin(found.index).all():
        raise TryAgainError(f"{path}: has just been replaced; run the same command again")
    of_rows = found.loc[rows[IMAGE], lacking].set_axis(rows.index)
    return rows.assign(**{name: of_rows[name] for name in lacking})


def read_scores_metadata(path: Path) -> dict[str, Any]:
    """Read only the metadata of a scores file. Raises the errors of `read_scores`."""
    must_exist(path, "--scores")
    metadata = read_metadata(path, "dfal score")
    check_metadata(place_of_metadata(path), metadata)
    return metadata


def scores_frame(stored: pa.Table) -> pd.DataFrame:
    """Return a scores table as `read_scores` does: missing values are "" in text columns and nan in number columns."""
    vectors = [field.name for field in stored.schema if is_vector(field.type)]
    table = stored.drop_columns(vectors).to_pandas()
    text = [name for name, kind in SCORES_COLUMNS.items() if kind == "string" and name in table]
    cells = {name: cells_of(stored[name]) for name in vectors}
    whole: pd.DataFrame = table.assign(**{name: table[name].fillna("") for name in text}, **cells)
    return whole.reindex(columns=stored.column_names)


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
