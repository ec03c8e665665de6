"""CSV as dfal reads and writes it: text only, nothing guessed, safe to open in a spreadsheet."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from dfal_cli.errors import DataError, listed, shown
from dfal_cli.schemas import IMAGE, LABEL, PSEUDO_LABEL, TWIN
from dfal_cli.system.files import atomic_output
from dfal_cli.tables.csv_rows import Dialect, rows_of

PATH_COLUMNS = (IMAGE, TWIN)
CLASS_COLUMNS = (LABEL, PSEUDO_LABEL)
FORMULA = r"[=+\-@]"
"""A cell that begins so, a spreadsheet runs. A path gets `./` in front, a label one more leading `'`."""

SCHEME = r"^[A-Za-z][A-Za-z0-9+.\-]+://"
"""An image that begins so is named by a URL, which is no path."""

DFAL_DIALECT = Dialect()

MOST_COLUMNS = 16_384
"""As many as a spreadsheet has; a table without end in one direction is none."""

CELLS_AT_ONCE = 50_000
"""Python's own strings take five times the room of a column's, so they become columns a part at a time."""

MOST_BLANKS = 10
"""Cells that short rows may lack for each that they have; beyond that, a small file would make a huge table."""


def read_csv(path: Path, required: Sequence[str]) -> pd.DataFrame:
    """Read a table as text, blanks as "". A BOM, semicolons and tabs are accepted; spreadsheet escapes are undone.

    Raises UsageError if there is no such file, DataError (with the line) if it is not the table it should be.
    """
    rows = rows_of(path)
    line, header = next(rows, (0, []))
    if not header:
        raise DataError(f"{path}: empty; its first line must name the columns {', '.join(required)}")
    _check_header(f"{path}, line {line}", header, required)
    fitted = _as_wide_as(header, path, rows)
    at_once = max(1, CELLS_AT_ONCE // len(header))
    parts = [pd.DataFrame([], columns=header, dtype=str)]
    while part := list(islice(fitted, at_once)):
        parts.append(pd.DataFrame(part, columns=header, dtype=str))
    return _check_paths(path, _unescape(pd.concat(parts, ignore_index=True)))


def to_csv(table: pd.DataFrame, *, header: bool = True, dialect: Dialect = DFAL_DIALECT) -> str:
    """The table as dfal writes it: LF, commas, quoted only where needed, escaped for spreadsheets; or in a dialect."""
    escaped = _escape(table)
    separator, line_end = dialect.separator, dialect.line_end
    text: str = escaped.to_csv(index=False, header=header, sep=separator, lineterminator=line_end)
    if "\r" in text and line_end != "\r\n":  # Python before 3.13 quotes only what is part of the line's end
        rows = [*([list(escaped.columns)] if header else []), *escaped.to_numpy().tolist()]
        text = "".join(_line_quoting_returns(row, separator) + line_end for row in rows)
    return text


def csv_bytes(table: pd.DataFrame, dialect: Dialect = DFAL_DIALECT) -> bytes:
    """The content of a file of this table."""
    told = f"{dialect.told}{dialect.line_end}" if dialect.told else ""
    text = told + to_csv(table, dialect=dialect)
    return dialect.mark + (text if dialect.ends else text.removesuffix(dialect.line_end)).encode(dialect.encoding)


def _line_quoting_returns(cells: Iterable[Any], separator: str) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=separator, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue().removesuffix("\r\n")


def write_csv(
    path: Path, table: pd.DataFrame, check: Callable[[], None] = lambda: None, dialect: Dialect = DFAL_DIALECT
) -> None:
    """Write the table, all of it or nothing; `check` is as of `atomic_output`."""
    with atomic_output(path, check) as temporary:
        temporary.write_bytes(csv_bytes(table, dialect))


def write_rows(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write rows of text under a header."""
    write_csv(path, pd.DataFrame(list(rows), columns=list(columns), dtype=str))


def line_of(path: Path, row: int) -> int:
    """The line of the file on which data row `row` (from 0) begins; a quoted cell may hold line breaks."""
    return next(line for number, (line, _) in enumerate(rows_of(path), -1) if number == row)


def location_of(file: Path, row: Hashable) -> str:
    """Where a data row stands, for a message; a folder that stands for a table has no lines."""
    return str(file) if file.is_dir() else f"{file}, line {line_of(file, int(str(row)))}"


def _as_wide_as(header: list[str], path: Path, rows: Iterable[tuple[int, list[str]]]) -> Iterator[list[str]]:
    """The rows with blanks for what is missing at their ends, which spreadsheets leave off."""
    width = len(header)
    have = lack = 0
    for line, cells in rows:
        if len(cells) != width:
            have += len(cells)
            lack += width - len(cells)
            if len(cells) > width:
                found = f"{len(cells)} cells under {width} columns"
                raise DataError(f"{path}, line {line}: {found}; a cell that holds a separator needs quotes")
            if lack > MOST_BLANKS * have + MOST_COLUMNS:
                found = f"{len(cells)} cells under {width} columns, as many rows above"
                raise DataError(f"{path}, line {line}: {found}; leave out the columns that are not used")
            cells.extend([""] * (width - len(cells)))
        yield cells


def _check_header(where: str, header: list[str], required: Sequence[str]) -> None:
    if len(header) > MOST_COLUMNS:
        raise DataError(f"{where}: {len(header):,} columns; a table may have {MOST_COLUMNS:,}")
    missing = [column for column in required if column not in header]
    if LABEL in missing and PSEUDO_LABEL in header:
        raise DataError(
            f"{where}: no column {LABEL}: these are pseudo-labels, which a network gave; they are nobody's "
            "answers, and only `dfal train --pseudo-labels` reads them"
        )
    if missing:
        found = f"it has {listed(header)}" if len(header) > 1 else f"it begins {shown(header[0])}"
        raise DataError(f"{where}: no column {' and '.join(missing)}; {found}. {_remedy(header, missing)}")
    twice = [column for column, times in Counter(header).items() if times > 1]
    if "" in twice:
        raise DataError(f"{where}: several columns have no name; name them, or delete them if they are empty")
    if twice:
        raise DataError(f"{where}: column {listed(twice)} stands there more than once; rename or delete one")


def _remedy(header: list[str], missing: list[str]) -> str:
    meant = {column.strip().lower(): column for column in header}
    renamed = [f"{shown(meant[column])} to {column}" for column in missing if column in meant]
    if renamed:
        return f"Rename {', '.join(renamed)}"
    return "The first line names the columns, in small letters, parted by commas, semicolons or tabs"


def _check_paths(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Return the table, or raise DataError with the line of an image that is none."""
    if IMAGE in table:
        found = wrong_image(table[IMAGE])
        if found is not None:
            row, problem = found
            raise DataError(f"{path}, line {line_of(path, row)}: {problem}")
    return table


def wrong_image(images: "pd.Series[str]") -> tuple[int, str] | None:
    """The first row whose image is none, and why: it is named by a path relative to the image root, and inside it."""
    for problem, wrong in (
        ("no image is named there", images == ""),
        ("an absolute path; name images relative to the image root", images.str.startswith("/")),
        ("leaves the image root; name images without ..", images.str.contains(r"(?:^|/)\.\.(?:/|$)")),
    ):
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            return row, f"image {shown(images[row])}: {problem}"
    return None


def _escape(table: pd.DataFrame) -> pd.DataFrame:
    escaped = {
        name: table[name].str.replace(rf"^({FORMULA})", r"./\1", regex=True) for name in PATH_COLUMNS if name in table
    }
    # A label that already has quotes in front of such a sign gets one more too, or reading would take its own.
    escaped |= {
        name: table[name].str.replace(rf"^('*{FORMULA})", r"'\1", regex=True) for name in CLASS_COLUMNS if name in table
    }
    return table.assign(**escaped)


def _unescape(table: pd.DataFrame) -> pd.DataFrame:
    plain = {name: table[name].str.replace(r"^(?:\./)+", "", regex=True) for name in PATH_COLUMNS if name in table}
    if IMAGE in plain:  # a//b and a/./b are a/b: one image, one name; https:// is left for messages to show
        plain[IMAGE] = plain[IMAGE].where(
            plain[IMAGE].str.contains(SCHEME), plain[IMAGE].str.replace(r"([^/])/(?:\.?/)+", r"\1/", regex=True)
        )
    plain |= {
        name: table[name].str.replace(rf"^'('*{FORMULA})", r"\1", regex=True) for name in CLASS_COLUMNS if name in table
    }
    return table.assign(**plain)
