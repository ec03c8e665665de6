"""Opens the files that labelling tools write; their contents decide what they are, not their names."""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, ParseError, XMLParser

from dfal_cli.errors import UsageError
from dfal_cli.system.files import is_file
from dfal_cli.tables.csv_rows import rows_of
from dfal_cli.tables.tools.forms import FormError

PEEKED_BYTES = 2**16
"""The first part of a file, which tells what it is."""

MARKED = ("metadata.csv", "metadata.jsonl", "metadata.parquet", "labels.json", "samples.json", "annotations.xml",
          "_classes.csv")  # fmt: skip
"""Files that hold the answers of the folder they are in, whatever else is there."""


class Table(NamedTuple):
    """A CSV file. Its rows are read when they are needed."""

    columns: Sequence[str]
    path: Path

    def rows(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield the place and the cells by column of each row. Raises DataError."""
        lines = rows_of(self.path)
        next(lines)
        for line, cells in lines:
            yield f"line {line}", dict(zip(self.columns, [*cells, *[""] * len(self.columns)], strict=False))


class Document(NamedTuple):
    """The content of a file or folder."""

    container: str
    content: Any
    """json: the value; json lines: a list of values; xml: the root element; table: a Table; parquet, folder: a Path."""


def answers_file(path: Path) -> Path:
    """Return the file that holds the answers: `path`, or the one in the folder `path`; else the folder."""
    if not path.is_dir():
        return path
    return next((path / name for name in MARKED if is_file(path / name)), path)


def open_document(path: Path) -> Document | None:
    """Return the content of a file or folder; None if it is none of these containers. Raises FormError, OSError."""
    if path.is_dir():
        return Document("folder", path)
    if not path.is_file():
        return None
    with path.open("rb") as handle:
        start = handle.read(PEEKED_BYTES)
    if start.startswith(b"PAR1"):
        return Document("parquet", path)
    if start.startswith(b"PK\x03\x04") and path.suffix.lower() == ".zip":
        raise UsageError(f"{path}: is an archive; unpack it and name the file or folder in it")
    text = start.decode("utf-8-sig", "replace").lstrip()
    container = {"[": "json", "{": "json", "<": "xml"}.get(text[:1], "table")
    return OPENED[container](path, text)


def _json(path: Path, start: str) -> Document | None:
    text = _text_of(path)
    try:
        return Document("json", json.loads(text))
    except RecursionError:
        raise FormError("JSON with too many nested brackets") from None
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and start.startswith("{"):
            return Document("json lines", list(_json_lines(text)))
        if error.lineno == 1 and not start.startswith(("{", "[{", "[\n", "[]")):
            return None  # a table whose first cell begins with a bracket
        raise FormError(f"line {error.lineno}: not JSON: {error.msg}") from None


def _json_lines(text: str) -> Iterator[Any]:
    for number, line in enumerate(text.splitlines(), 1):
        try:
            if line.strip():
                yield json.loads(line)
        except (json.JSONDecodeError, RecursionError):
            raise FormError(f"line {number}: not JSON") from None


def _xml(path: Path, start: str) -> Document:
    text = _text_of(path)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:  # entities can make a small file fill the memory
        raise FormError("XML with a document type; no labelling tool writes one")
    try:
        parser = XMLParser()
        parser.feed(text)
        root: Element = parser.close()
    except (ParseError, ValueError) as error:
        raise FormError(f"not XML: {error}") from None
    return Document("xml", root)


def _table(path: Path, start: str) -> Document | None:
    header = next(iter(start.splitlines()), "")
    separator = next((each for each in ",\t" if each in header), ",")
    try:
        columns = next(csv.reader([header], delimiter=separator), [])
    except csv.Error:
        return None
    return Document("table", Table(columns, path))


def _text_of(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormError(f"not UTF-8 text (byte 0x{error.object[error.start]:02x})") from None


OPENED: dict[str, Callable[[Path, str], Document | None]] = {"json": _json, "xml": _xml, "table": _table}
"""Container -> its reader, given the file and the beginning of its text."""
