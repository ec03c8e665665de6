"""<queries>.times.csv: how long people took for their answers on the labelling page, one row per reply."""

import csv
from pathlib import Path

from dfal_cli.errors import DataError
from dfal_cli.schemas import SECONDS, TIMES_COLUMNS, TIMES_SUFFIX
from dfal_cli.system.files import beside
from dfal_cli.tables.csv_files import read_csv


class AnswerTimes:
    """Adds rows to the file, which is not synced to the disk: a second lost in a crash is no loss."""

    def __init__(self, queries: Path) -> None:
        self._path = beside(queries, TIMES_SUFFIX)

    def add(self, answers: int, seconds: float) -> None:
        """Add the time that some answers took, together; that it cannot be written stops nobody from answering."""
        try:
            with self._path.open("a", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                if not file.tell():
                    writer.writerow(TIMES_COLUMNS)
                writer.writerow([answers, f"{seconds:.1f}"])
        except OSError:
            return


def seconds_spent(queries: Path) -> float | None:
    """Return how long people have answered a list on the labelling page; None if that is not known."""
    path = beside(queries, TIMES_SUFFIX)
    if not path.exists():
        return None
    table = read_csv(path, TIMES_COLUMNS)
    try:
        return float(sum(float(cell) for cell in table[SECONDS]))
    except ValueError:
        raise DataError(f"{path}: column {SECONDS} has a cell that is no number; delete the file") from None
