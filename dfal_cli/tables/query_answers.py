"""A query list while people answer it: single answers are written into the file, and the rest stays as it is.

The file may be the work of a spreadsheet, or may be open in one: rows that get no answer keep their bytes.
"""

import contextlib
import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from dfal_cli.errors import TryAgainError
from dfal_cli.schemas import CONFIDENCE, IMAGE, LABEL, LABELLED, PREDICTED
from dfal_cli.system.files import atomic_output, locked
from dfal_cli.system.fingerprints import FileState, file_state
from dfal_cli.tables.csv_files import csv_line, csv_table, escaped_label
from dfal_cli.tables.csv_rows import dialect_of, records_of
from dfal_cli.tables.guesses import Guess, number
from dfal_cli.tables.queries import checked_queries

ROWS_AT_ONCE = 500
"""Number of rows that are joined for writing: long pieces would stay in the memory of each thread that writes."""


class QueryAnswers:
    """The rows of a query list in memory, equal to the file as of the last `refresh`.

    Not thread-safe. Rows are numbered from 0 in the order of the file, without blank rows.
    """

    images: list[str]
    labels: list[str]
    """The answer of each row, "" if it is blank."""
    guesses: dict[str, Guess]
    """Image -> its prediction, if the list has a column of them; else empty."""
    labelled: dict[str, str]
    """Image -> its label now, in a list of `dfal review`; else empty."""
    row_of: dict[str, int]
    """Image -> its row."""

    def __init__(self, path: Path, wait: float = 0.0) -> None:
        """Read the list. `wait`: seconds to wait for its lock. Raises the errors of `read_queries`."""
        self.path = path
        self._wait = wait
        self._state: FileState | None = None
        self._read()

    def refresh(self) -> bool:
        """Read the file again if another program has changed it, and return whether it has.

        Raises the errors of `read_queries`; the rows in memory stay as they were then.
        """
        if file_state(str(self.path)) == self._state:
            return False
        self._read()
        return True

    @contextlib.contextmanager
    def editing(self) -> Iterator[bool]:
        """Hold the lock of the list in the block, for `write`. Yield whether another program had changed it before.

        Raises TryAgainError if the lock is held by another command, and the errors of `refresh`.
        """
        with locked(self.path, self._wait):
            yield self.refresh()

    def write(self, answers: Mapping[int, str]) -> None:
        """Write the answers of some rows, atomically. When it returns, they are on disk.

        Raises TryAgainError if another program changed the file after `editing` began, and OSError.
        """
        texts = {self._places[row]: self._with_label(row, label) for row, label in answers.items()}
        before = {place: self._texts[place] for place in texts}
        try:
            self._put(texts)
            self._write_file()
        except BaseException:
            self._put(before)
            raise
        for row, label in answers.items():
            self.labels[row] = label

    def _put(self, texts: Mapping[int, bytes]) -> None:
        for place, text in texts.items():
            self._texts[place] = text

    def _write_file(self) -> None:
        written: FileState | None = None

        def check() -> None:
            nonlocal written
            written = file_state(str(temporary))
            if file_state(str(self.path)) != self._state:
                raise TryAgainError(f"{self.path}: another program has just changed it; the answer is not written yet")

        with atomic_output(self.path, check) as temporary, temporary.open("wb") as file:
            file.write(self._dialect.bom)
            for first in range(0, len(self._texts), ROWS_AT_ONCE):
                file.write(b"".join(self._texts[first : first + ROWS_AT_ONCE]))
        now = file_state(str(self.path))
        is_ours = now and written and now[:-1] == written[:-1]  # renaming changes only the last time
        self._state = now if is_ours else None  # None: `refresh` reads what another program wrote just now

    def _read(self) -> None:
        state = file_state(str(self.path))
        records = list(records_of(self.path))
        dialect = dialect_of(self.path)
        rows = ((record.line, record.cells) for record in records if not record.is_blank)
        table = checked_queries(self.path, csv_table(self.path, rows, (IMAGE, LABEL)))
        if file_state(str(self.path)) != state:
            raise TryAgainError(f"{self.path}: another program is writing it; try again")
        header, *places = [place for place, record in enumerate(records) if not record.is_blank]
        self._state, self._dialect, self._places = state, dialect, places
        self._texts = [record.text.encode(dialect.encoding) for record in records]
        self._width, self._column = len(records[header].cells), records[header].cells.index(LABEL)
        self.images = table[IMAGE].tolist()
        self.labels = [label if label.strip() else "" for label in table[LABEL]]
        self.row_of = {image: row for row, image in enumerate(self.images)}
        self.labelled = dict(zip(self.images, table[LABELLED], strict=True)) if LABELLED in table else {}
        self.guesses = {}
        if PREDICTED in table:
            confidences = map(number, table[CONFIDENCE] if CONFIDENCE in table else [""] * len(table))
            self.guesses = dict(zip(self.images, map(Guess, table[PREDICTED], confidences), strict=True))

    def _with_label(self, row: int, label: str) -> bytes:
        """Return the text of a row with another label."""
        place = self._places[row]
        text = self._texts[place].decode(self._dialect.encoding)
        cells = next(csv.reader(io.StringIO(text, newline=""), delimiter=self._dialect.separator))
        cells += [""] * (self._width - len(cells))  # spreadsheets leave out empty cells at the end
        cells[self._column] = escaped_label(label)
        line_end = text[len(text.rstrip("\r\n")) :]
        return (csv_line(cells, self._dialect.separator) + line_end).encode(self._dialect.encoding)
