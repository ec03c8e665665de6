"""The rows of a CSV file as text, whichever program wrote it, each with the line it begins on.

Read strictly: a quote that is out of place makes one cell of several rows, and labels would vanish without a word.
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
"""Comma; the semicolon that the spreadsheets of some countries write; the tab of a spreadsheet's "Unicode text"."""

TOLD_SEPARATOR = re.compile(r'"?sep=([^"\r\n])"?[\r\n]*')
"""A first line by which Excel is told the separator."""

ENCODINGS = {BOM_UTF16_LE: "utf-16", BOM_UTF16_BE: "utf-16"}
"""By the first bytes; anything else is UTF-8, with a byte order mark or without."""

MARKS = {BOM_UTF8: "utf-8", BOM_UTF16_LE: "utf-16-le", BOM_UTF16_BE: "utf-16-be"}
"""Byte order marks, and how text after each is encoded."""

NOT_TEXT = {
    b"PK\x03\x04": "a workbook (.xlsx, .ods) or another zip archive",
    b"\xd0\xcf\x11\xe0": "an old workbook (.xls)",
    b"PAR1": "Parquet",
    b"\x1f\x8b": "compressed by gzip",
}
"""By the first bytes: what people take for CSV because their programs open both."""

LONGEST_LINE = 10_000_000
"""Bytes: ten cells of a million. A line beyond that is no row of a table, and its cells would fill the memory."""


class Dialect(NamedTuple):
    """How a program writes a table; the defaults are dfal's own way."""

    mark: bytes = b""
    """Byte order mark."""
    encoding: str = "utf-8"
    separator: str = ","
    told: str = ""
    """The line `sep=;`, if the file begins with one."""
    line_end: str = "\n"
    ends: bool = True
    """Whether the last line has an end, too."""


csv.field_size_limit(2**31 - 1)  # LONGEST_LINE bounds a line; a quoted cell of many lines is as large as its file

MALFORMED = {
    "unexpected end of data": "opens a quote that is never closed",
    "expected after": 'has text after a closing quote; a quote inside a quoted cell is written twice ("")',
}
"""What the csv module says -> what is wrong with the row."""


def rows_of(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows, the header first, each with the line it begins on; rows without a filled cell are no rows.

    Raises UsageError if there is no such file, DataError (with the line) where it is not a table in text.
    """
    must_exist(path, "a table")
    if not path.is_file():
        raise UsageError(f"{path}: not a regular file; a table is read more than once, so save it as a file first")
    content = _as_utf8(path)
    _check_lines(path, content)
    separator, above = _separator(content)
    reader = csv.reader(_lines(content, above), delimiter=separator, strict=True)
    begins = above + 1
    try:
        for cells in reader:
            if cells and (cells[0].strip() or (len(cells) > 1 and any(cells))):
                yield begins, cells
            begins = above + reader.line_num + 1
    except csv.Error as error:
        wrong = next((wrong for said, wrong in MALFORMED.items() if said in str(error)), f"is no row: {error}")
        raise DataError(f"{path}, line {begins}: {wrong}") from None


def dialect_of(path: Path) -> Dialect:
    """How the table is written, that of its header's line end. Raises as `rows_of`."""
    content = _as_utf8(path)
    mark = next((mark for mark in MARKS if path.read_bytes().startswith(mark)), b"")
    separator, above = _separator(content)
    read: list[str] = []

    def noting() -> Iterator[str]:
        for line in _lines(content, above):
            read.append(line)
            yield line

    next((cells for cells in csv.reader(noting(), delimiter=separator) if any(cells)), None)
    told = next(_lines(content)).rstrip("\r\n") if above else ""
    line_end = read[-1][len(read[-1].rstrip("\r\n")) :] if read else ""
    return Dialect(mark, MARKS.get(mark, "utf-8"), separator, told, line_end or "\n", content.endswith((b"\n", b"\r")))


def _as_utf8(path: Path) -> bytes:
    """The content of a text file, in UTF-8 without a byte order mark."""
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
        wrong = "holds a NUL character: damaged (as by a crash), or not text"
        raise DataError(f"{path}, line {line}: {wrong}; restore it, or save it as CSV UTF-8")
    return (content if encoding == "utf-8" else text.encode()).removeprefix(BOM_UTF8)


def _lines_in(text: str) -> int:
    return len(re.findall(r"\r\n|\r|\n", text))


def _check_lines(path: Path, content: bytes) -> None:
    begins = 0
    while len(content) - begins > LONGEST_LINE:
        window = begins, begins + LONGEST_LINE
        ends = max(content.rfind(end, *window) for end in (b"\n", b"\r"))
        if ends < 0:
            raise DataError(f"{path}: a line is longer than {LONGEST_LINE:,} bytes, so it is not a table")
        begins = ends + 1


def _separator(content: bytes) -> tuple[str, int]:
    """What parts the cells, and how many lines stand above the header: told by the file, or what makes an image column.

    If nothing does, a comma.
    """
    told = TOLD_SEPARATOR.fullmatch(next(_lines(content), ""))
    if told:
        return told[1], 1
    for separator in SEPARATORS:
        reader = csv.reader(_lines(content), delimiter=separator)
        header = next((cells for cells in reader if any(cell.strip() for cell in cells)), [])
        if IMAGE in (cell.strip().lower() for cell in header):
            return separator, 0
    return ",", 0


def _lines(content: bytes, above: int = 0) -> Iterator[str]:
    """The lines with their ends, of any kind, without the first `above`."""
    return islice(io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", newline=""), above, None)
