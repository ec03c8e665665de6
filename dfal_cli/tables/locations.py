"""Where a row of a table stands in its file, for messages."""

from collections.abc import Hashable
from pathlib import Path

from dfal_cli.tables.csv_files import line_of
from dfal_cli.tables.tools.reading import place_of


def location_of(file: Path, row: Hashable) -> str:
    """Return "FILE, line N" of a data row, or "FILE, task N"; only "FILE" for a negative row, which is not in it."""
    number = int(str(row))
    return str(file) if number < 0 else f"{file}, {place_in(file, number)}"


def place_in(file: Path, row: int) -> str:
    """Return "line N" of a data row, or what a labelling tool calls the place: "task N"."""
    return place_of(file, row) or f"line {line_of(file, row)}"
