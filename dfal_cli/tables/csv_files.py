"""Reads and writes CSV tables: all cells are text, no types are guessed, and spreadsheets can open them safely."""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from dfal_cli.errors import DataError, listed, shown
from dfal_cli.schemas import CROSSING_CLASS, IMAGE, LABEL, LABELLED, PREDICTED, PSEUDO_LABEL, TWIN
from dfal_cli.system.files import atomic_output
from dfal_cli.tables.csv_rows import Dialect, rows_of

PATH_COLUMNS = (IMAGE, TWIN)
CLASS_COLUMNS = (LABEL, LABELLED, PSEUDO_LABEL, PREDICTED, CROSSING_CLASS)
FORMULA = r"[=+\-@]"
"""First characters of a cell that a spreadsheet runs as a formula. Paths get a leading `./`, labels a leading `'`."""

DOT_SLASH = r"^(?:\./)+"

SCHEME = r"^[A-Za-z][A-Za-z0-9+.\-]+://"
"""Matches an image that is named by a URL instead of a path."""

DFAL_DIALECT = Dialect()

MAX_COLUMNS = 16_384
"""The limit of common spreadsheets."""

CELLS_PER_CHUNK = 50_000
"""Rows become DataFrame columns in chunks: Python strings take five times the memory of a column."""

MAX_MISSING_PER_CELL = 10
"""Cells that short rows may lack for each cell they have; without a limit, a small file could make a huge table."""


def read_csv(path: Path, required: Sequence[str]) -> pd.DataFrame:
    """Read a table as text, empty cells as "". Accepts a BOM, semicolons and tabs; undoes spreadsheet escapes.

    Raises UsageError if the file does not exist, DataError (with the line) if it is not a table with these columns.
    """
    return csv_table(path, rows_of(path), required)


def csv_table(path: Path, rows: Iterator[tuple[int, list[str]]], required: Sequence[str]) -> pd.DataFrame:
    """Return the table of rows that `rows_of` yields for a file. Raises DataError as `read_csv`."""
    line, header = next(rows, (0, []))
    if not header:
        raise DataError(f"{path}: empty; its first line must name the columns {', '.join(required)}")
    _check_header(f"{path}, line {line}", header, required)
    padded = _padded(rows, len(header), path)
    chunk_size = max(1, CELLS_PER_CHUNK // len(header))
    chunks = [pd.DataFrame([], columns=header, dtype=str)]
    while chunk := list(islice(padded, chunk_size)):
        chunks.append(pd.DataFrame(chunk, columns=header, dtype=str))
    return _check_paths(path, _unescape(pd.concat(chunks, ignore_index=True)))


def to_csv(table: pd.DataFrame, *, header: bool = True, dialect: Dialect = DFAL_DIALECT) -> str:
    """Return the table as CSV text in a dialect, escaped for spreadsheets; cells are quoted only where needed."""
    escaped = _escape(table)
    separator, line_end = dialect.separator, dialect.line_end
    text: str = escaped.to_csv(index=False, header=header, sep=separator, lineterminator=line_end)
    if "\r" in text and line_end != "\r\n":  # Python before 3.13 quotes a cell with \r only if the line end has one
        rows = [*([list(escaped.columns)] if header else []), *escaped.to_numpy().tolist()]
        text = "".join(csv_line(row, separator) + line_end for row in rows)
    return text


def csv_bytes(table: pd.DataFrame, dialect: Dialect = DFAL_DIALECT) -> bytes:
    """Return the bytes of a CSV file with this table."""
    first_line = f"{dialect.separator_line}{dialect.line_end}" if dialect.separator_line else ""
    text = first_line + to_csv(table, dialect=dialect)
    if not dialect.ends_with_newline:
        text = text.removesuffix(dialect.line_end)
    return dialect.bom + text.encode(dialect.encoding)


def csv_line(cells: Iterable[Any], separator: str) -> str:
    """Return a row as CSV text without its line end."""
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=separator, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue().removesuffix("\r\n")


def write_csv(
    path: Path, table: pd.DataFrame, check: Callable[[], None] = lambda: None, dialect: Dialect = DFAL_DIALECT
) -> None:
    """Write the table atomically; `check` is passed to `atomic_output`."""
    with atomic_output(path, check) as temporary:
        temporary.write_bytes(csv_bytes(table, dialect))


def write_rows(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write rows of text with a header of column names."""
    write_csv(path, pd.DataFrame(list(rows), columns=list(columns), dtype=str))


def escaped_label(label: str) -> str:
    """Return a label as it is written into a cell: with one more `'` if a spreadsheet could take it for a formula."""
    return re.sub(rf"^('*{FORMULA})", r"'\1", label)


def plain_label(cell: str) -> str:
    """Return the label that `escaped_label` wrote."""
    return re.sub(rf"^'('*{FORMULA})", r"\1", cell)


def line_of(path: Path, row: int) -> int:
    """Return the line on which data row `row` (from 0) begins; a row with quoted line breaks spans several lines."""
    return next(line for number, (line, _) in enumerate(rows_of(path), -1) if number == row)


def _padded(rows: Iterable[tuple[int, list[str]]], width: int, path: Path) -> Iterator[list[str]]:
    """Yield the rows, filled up to `width` cells: spreadsheets leave out empty cells at the end of a row."""
    present = missing = 0
    for line, cells in rows:
        if len(cells) != width:
            present += len(cells)
            missing += width - len(cells)
            found = f"{len(cells)} cells, but the header has {width} columns"
            if len(cells) > width:
                raise DataError(f"{path}, line {line}: {found}; put quotes around a cell that contains a separator")
            if missing > MAX_MISSING_PER_CELL * present + MAX_COLUMNS:
                raise DataError(f"{path}, line {line}: {found}, like many rows above; remove the unused columns")
            cells.extend([""] * (width - len(cells)))
        yield cells


def _check_header(where: str, header: list[str], required: Sequence[str]) -> None:
    if len(header) > MAX_COLUMNS:
        raise DataError(f"{where}: {len(header):,} columns; a table may have at most {MAX_COLUMNS:,}")
    missing = [column for column in required if column not in header]
    if LABEL in missing and PSEUDO_LABEL in header:
        raise DataError(
            f"{where}: no column {LABEL}: this file holds pseudo-labels predicted by a network, not answers; "
            "only `dfal train --pseudo-labels` reads it"
        )
    if missing:
        found = f"it has {listed(header)}" if len(header) > 1 else f"it begins with {shown(header[0])}"
        raise DataError(f"{where}: no column {' and '.join(missing)}; {found}. {_remedy(header, missing)}")
    duplicates = [column for column, times in Counter(header).items() if times > 1]
    if "" in duplicates:
        raise DataError(f"{where}: several columns have no name; name them, or delete them if they are empty")
    if duplicates:
        raise DataError(f"{where}: column {listed(duplicates)} appears more than once; rename or delete one")


def _remedy(header: list[str], missing: list[str]) -> str:
    similar = {column.strip().lower(): column for column in header}
    renames = [f"{shown(similar[column])} to {column}" for column in missing if column in similar]
    if renames:
        return f"Rename {', '.join(renames)}"
    return "The first line must name the columns in lower case, separated by commas, semicolons or tabs"


def _check_paths(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Return the table, or raise DataError with the line of an invalid image path."""
    if IMAGE in table:
        found = invalid_image(table[IMAGE])
        if found is not None:
            row, problem = found
            raise DataError(f"{path}, line {line_of(path, row)}: {problem}")
    return table


def invalid_image(images: "pd.Series[str]") -> tuple[int, str] | None:
    """Return the first row whose image is not a path relative to and inside the image root, and the reason."""
    for problem, wrong in (
        ("the path is empty", images == ""),
        ("an absolute path; name images relative to the image root", images.str.startswith("/")),
        ("leaves the image root; name images without ..", images.str.contains(r"(?:^|/)\.\.(?:/|$)")),
    ):
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            return row, f"image {shown(images.iloc[row])}: {problem}"
    return None


def plain_names(images: "pd.Series[str]") -> "pd.Series[str]":
    """Return one spelling per image: ./a/b, a//b and a/./b become a/b; https:// stays for messages to show."""
    plain = images.str.replace(DOT_SLASH, "", regex=True)
    return plain.where(plain.str.contains(SCHEME), plain.str.replace(r"([^/])/(?:\.?/)+", r"\1/", regex=True))


def _escape(table: pd.DataFrame) -> pd.DataFrame:
    escaped = {
        name: table[name].str.replace(rf"^({FORMULA})", r"./\1", regex=True) for name in PATH_COLUMNS if name in table
    }
    # A label that already has quotes in front of such a sign gets one more, too: reading removes one.
    escaped |= {
        name: table[name].str.replace(rf"^('*{FORMULA})", r"'\1", regex=True) for name in CLASS_COLUMNS if name in table
    }
    return table.assign(**escaped)


def _unescape(table: pd.DataFrame) -> pd.DataFrame:
    plain = {name: table[name].str.replace(DOT_SLASH, "", regex=True) for name in PATH_COLUMNS if name in table}
    if IMAGE in plain:
        plain[IMAGE] = plain_names(plain[IMAGE])
    plain |= {
        name: table[name].str.replace(rf"^'('*{FORMULA})", r"\1", regex=True) for name in CLASS_COLUMNS if name in table
    }
    return table.assign(**plain)
