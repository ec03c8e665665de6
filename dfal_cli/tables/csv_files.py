"""CSV as dfal reads and writes it: text only, nothing guessed, safe to open in a spreadsheet."""

import contextlib
import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dfal_cli.errors import DataError
from dfal_cli.files import atomic_output, must_exist
from dfal_cli.schemas import IMAGE, LABEL, PSEUDO_LABEL, TWIN

PATH_COLUMNS = (IMAGE, TWIN)
CLASS_COLUMNS = (LABEL, PSEUDO_LABEL)
LONGEST_HEADER = 100_000
FORMULA = r"[=+\-@]"
"""A cell that begins so, a spreadsheet runs. A path gets `./` in front, a label one more leading `'`."""


def read_csv(path: Path, required: Sequence[str]) -> pd.DataFrame:
    """Read a table as text, blanks as "". A BOM and semicolons are accepted; spreadsheet escapes are undone.

    Raises UsageError if there is no such file, DataError (with the line) if it is not the table it should be.
    """
    must_exist(path, "a table")
    try:
        table = pd.read_csv(
            path,
            sep=_separator(path),
            header=None,
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
            index_col=False,
        )
    except pd.errors.EmptyDataError:
        raise DataError(f"{path}: empty; its first line must name the columns {', '.join(required)}") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not UTF-8 text ({error.reason} at byte {error.start}); save it as CSV UTF-8"
        ) from None
    except pd.errors.ParserError as error:
        raise DataError(_what_is_wrong(path, error)) from None
    table = table.fillna("")  # rows that are shorter than the others
    header = list(table.iloc[0])
    table = table.iloc[1:].reset_index(drop=True)
    table.columns = pd.Index(header)
    table = table[~_all_blank(table)].reset_index(drop=True)
    _check_header(path, header, required)
    return _check_paths(path, _unescape(table))


def to_csv(table: pd.DataFrame, *, header: bool = True) -> str:
    """The table as dfal writes it: LF, commas, quoted only where needed, escaped for spreadsheets."""
    escaped = _escape(table)
    text: str = escaped.to_csv(index=False, header=header, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    if "\r" in text:  # Python before 3.13 does not quote it unless it is part of the line's end
        rows = [*([list(escaped.columns)] if header else []), *escaped.to_numpy().tolist()]
        text = "".join(_line_quoting_returns(row) for row in rows)
    return text


def _line_quoting_returns(cells: Iterable[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue().removesuffix("\r\n") + "\n"


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write the table as UTF-8, all of it or nothing."""
    with atomic_output(path) as temporary:
        temporary.write_text(to_csv(table), encoding="utf-8", newline="")


def write_rows(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write rows of text under a header."""
    write_csv(path, pd.DataFrame(list(rows), columns=list(columns), dtype=str))


def line_of(path: Path, row: int) -> int:
    """The line of the file on which data row `row` (from 0) begins; a quoted cell may hold line breaks."""
    return next(line for number, (line, _) in enumerate(_rows_with_lines(path), -1) if number == row)


def _rows_with_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows of a file, its header first, each with the line it begins on; blank lines are no rows."""
    with path.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.reader(handle, delimiter=_separator(path))
        begins = 1
        for cells in reader:
            if any(cells if len(cells) > 1 else (cell.strip() for cell in cells)):
                yield begins, cells
            begins = reader.line_num + 1


def _separator(path: Path) -> str:
    """Comma; or the semicolon that the spreadsheets of some countries write, if only that makes an image column."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as handle:
        header = handle.readline(LONGEST_HEADER)
    columns = {separator: next(csv.reader([header], delimiter=separator), []) for separator in ",;"}
    return ";" if IMAGE in columns[";"] and IMAGE not in columns[","] else ","


def _what_is_wrong(path: Path, error: pd.errors.ParserError) -> str:
    """Where a table is not one. The parser counts rows; a person's editor counts lines."""
    with contextlib.suppress(csv.Error):
        rows = _rows_with_lines(path)
        _, header = next(rows)
        for line, cells in rows:
            if len(cells) > len(header):
                found = f"{len(cells)} cells under {len(header)} columns"
                return f"{path}, line {line}: {found}; a cell that holds a comma needs quotes"
    return f"{path}: not a table: {error}"


def _all_blank(table: pd.DataFrame) -> "pd.Series[bool]":
    """Rows without a single filled cell, as spreadsheets leave them at the end."""
    blank = pd.Series(True, index=table.index)
    for _, column in table.items():
        blank &= column == ""
    return blank


def _check_header(path: Path, header: list[str], required: Sequence[str]) -> None:
    missing = [column for column in required if column not in header]
    if LABEL in missing and PSEUDO_LABEL in header:
        raise DataError(
            f"{path}, line 1: no column {LABEL}: these are pseudo-labels, which a network gave; they are nobody's "
            "answers, and only `dfal train --pseudo-labels` reads them"
        )
    if missing:
        found = f"it has {', '.join(header)}" if len(header) > 1 else f"it begins {header[0]!r}"
        raise DataError(
            f"{path}, line 1: no column {' and '.join(missing)}; {found}. "
            "Columns are spelt in small letters and parted by commas or semicolons"
        )
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        raise DataError(f"{path}, line 1: column {' and '.join(twice)} stands there more than once")


def _check_paths(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """An image is named by its path relative to the image root: not blank, and inside the root."""
    if IMAGE not in table:
        return table
    images = table[IMAGE]
    for problem, wrong in (
        ("no image is named there", images == ""),
        ("an absolute path; name images relative to the image root", images.str.startswith("/")),
        ("leaves the image root; name images without ..", images.str.contains(r"(?:^|/)\.\.(?:/|$)")),
    ):
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            raise DataError(f"{path}, line {line_of(path, row)}: image {images[row]!r}: {problem}")
    return table


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
    plain |= {
        name: table[name].str.replace(rf"^'('*{FORMULA})", r"\1", regex=True) for name in CLASS_COLUMNS if name in table
    }
    return table.assign(**plain)
