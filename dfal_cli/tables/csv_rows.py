"""Reads the rows of a CSV file from any program as text, each with the line it begins on.

Parsing is strict: a misplaced quote merges several rows into one cell, and their labels would be lost silently.
"""

import csv
import io
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from dfal_cli.errors import DataError, UsageError
from dfal_cli.schemas import IMAGE
from dfal_cli.system.paths import must_exist

SEPARATORS = ",;\t"
"""Comma; semicolon, as spreadsheets of some countries write; tab, as in a spreadsheet's "Unicode text"."""

SEPARATOR_LINE = re.compile(r'"?sep=([^"\r\n])"?[\r\n]*')
"""A first line that tells Excel the separator."""

ENCODINGS = {BOM_UTF16_LE: "utf-16", BOM_UTF16_BE: "utf-16"}
"""Encoding by the first bytes; anything else is UTF-8, with or without a byte order mark."""

BOMS = {BOM_UTF8: "utf-8", BOM_UTF16_LE: "utf-16-le", BOM_UTF16_BE: "utf-16-be"}
"""Byte order mark -> encoding of the text after it."""

NOT_TEXT = {
    b"PK\x03\x04": "a workbook (.xlsx, .ods) or another zip archive",
    b"\xd0\xcf\x11\xe0": "an old workbook (.xls)",
    b"PAR1": "Parquet",
    b"\x1f\x8b": "compressed by gzip",
}
"""First bytes -> file types that are often mistaken for CSV because the same programs open them."""

MAX_LINE_BYTES = 10_000_000
"""A longer line is not a row of a table, and its cells would fill the memory."""


class Dialect(NamedTuple):
    """How a CSV file is written; the defaults are dfal's own dialect."""

    bom: bytes = b""
    """Byte order mark."""
    encoding: str = "utf-8"
    separator: str = ","
    separator_line: str = ""
    """The line `sep=;`, if the file begins with one."""
    line_end: str = "\n"
    ends_with_newline: bool = True


csv.field_size_limit(2**31 - 1)  # MAX_LINE_BYTES limits a line; a quoted cell may span all lines of its file

MALFORMED = {
    "unexpected end of data": "opens a quote that is never closed",
    "expected after": 'has text after a closing quote; a quote inside a quoted cell is written twice ("")',
}
"""Part of an error message of the csv module -> what is wrong with the row."""


class Record(NamedTuple):
    """A row as it stands in the file."""

    line: int
    """The line on which it begins."""
    text: str
    """Its text with its line end; the texts of all records are the whole file."""
    cells: list[str]

    @property
    def is_blank(self) -> bool:
        """Whether it has only empty cells, like the rows that spreadsheets leave at the end."""
        return _is_blank(self.cells)


def rows_of(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line on which the row begins, cells), the header first; rows with only empty cells are left out.

    Raises UsageError if the file does not exist, DataError (with the line) if it is not a text table.
    """
    content = _table(path)
    separator, above = _separator(content)
    rows = _parsed(path, _lines(content, above), separator, above)
    yield from ((line, cells) for line, cells in rows if not _is_blank(cells))


def records_of(path: Path) -> Iterator[Record]:
    """Yield all rows as they stand in the file, also blank ones and a `sep=` line. Raises the errors of `rows_of`."""
    content = _table(path)
    separator, above = _separator(content)
    yield from (Record(line, text, []) for line, text in enumerate(islice(_lines(content), above), 1))
    read: list[str] = []

    def recorded_lines() -> Iterator[str]:
        for line in _lines(content, above):
            read.append(line)
            yield line

    for line, cells in _parsed(path, recorded_lines(), separator, above):
        yield Record(line, "".join(read), cells)
        read.clear()


def _table(path: Path) -> bytes:
    """Return the content of a table as UTF-8. Raises UsageError or DataError if it is not text."""
    must_exist(path, "a table")
    if not path.is_file():
        raise UsageError(f"{path}: not a regular file, and a table is read more than once; save it to a file first")
    content = _as_utf8(path)
    _check_lines(path, content)
    return content


def _parsed(path: Path, lines: Iterator[str], separator: str, above: int) -> Iterator[tuple[int, list[str]]]:
    """Yield (line on which the row begins, cells) of each row. Raises DataError, with the line."""
    reader = csv.reader(lines, delimiter=separator, strict=True)
    begins = above + 1
    try:
        for cells in reader:
            yield begins, cells
            begins = above + reader.line_num + 1
    except csv.Error as error:
        wrong = next((wrong for text, wrong in MALFORMED.items() if text in str(error)), f"is not a row: {error}")
        raise DataError(f"{path}, line {begins}: {wrong}") from None


def _is_blank(cells: list[str]) -> bool:
    return not (cells and (cells[0].strip() or (len(cells) > 1 and any(cells))))


def dialect_of(path: Path) -> Dialect:
    """Return the dialect of a file; the line end is that of the header. Raises the errors of `rows_of`."""
    content = _as_utf8(path)
    bom = next((bom for bom in BOMS if path.read_bytes().startswith(bom)), b"")
    separator, above = _separator(content)
    read: list[str] = []

    def recorded_lines() -> Iterator[str]:
        for line in _lines(content, above):
            read.append(line)
            yield line

    next((cells for cells in csv.reader(recorded_lines(), delimiter=separator) if any(cells)), None)
    separator_line = next(_lines(content)).rstrip("\r\n") if above else ""
    line_end = (read[-1][len(read[-1].rstrip("\r\n")) :] if read else "") or "\n"
    return Dialect(
        bom, BOMS.get(bom, "utf-8"), separator, separator_line, line_end, content.endswith((b"\n", b"\r"))
    )  # fmt: skip


def _as_utf8(path: Path) -> bytes:
    """Return the content of a text file as UTF-8 without a byte order mark. Raises DataError if it is not text."""
    content = path.read_bytes()
    for magic, what in NOT_TEXT.items():
        if content.startswith(magic):
            raise DataError(f"{path}: {what}, not CSV; save it as CSV UTF-8")
    encoding = ENCODINGS.get(content[:2], "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = _lines_in(content[: error.start].decode(encoding, "replace")) + 1
        wrong = f"not {encoding.upper()} text (byte 0x{content[error.start]:02x})"
        raise DataError(f"{path}, line {line}: {wrong}; save it as CSV UTF-8") from None
    if "\0" in text:
        line = _lines_in(text[: text.index("\0")]) + 1
        wrong = "holds a NUL character: the file is damaged (perhaps by a crash) or not text"
        raise DataError(f"{path}, line {line}: {wrong}; restore it, or save it as CSV UTF-8")
    return (content if encoding == "utf-8" else text.encode()).removeprefix(BOM_UTF8)


def _lines_in(text: str) -> int:
    return len(re.findall(r"\r\n|\r|\n", text))


def _check_lines(path: Path, content: bytes) -> None:
    begins = 0
    while len(content) - begins > MAX_LINE_BYTES:
        window = begins, begins + MAX_LINE_BYTES
        ends = max(content.rfind(end, *window) for end in (b"\n", b"\r"))
        if ends < 0:
            raise DataError(f"{path}: a line is longer than {MAX_LINE_BYTES:,} bytes; this is not a table")
        begins = ends + 1


def _separator(content: bytes) -> tuple[str, int]:
    """Return the separator and the number of lines above the header.

    The separator is that of a `sep=` line, else the one that gives the header an image column, else a comma.
    """
    explicit = SEPARATOR_LINE.fullmatch(next(_lines(content), ""))
    if explicit:
        return explicit[1], 1
    for separator in SEPARATORS:
        reader = csv.reader(_lines(content), delimiter=separator)
        header = next((cells for cells in reader if any(cell.strip() for cell in cells)), [])
        if IMAGE in (cell.strip().lower() for cell in header):
            return separator, 0
    return ",", 0


def _lines(content: bytes, above: int = 0) -> Iterator[str]:
    """Yield the lines with their line ends, without the first `above` lines."""
    return islice(io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", newline=""), above, None)
