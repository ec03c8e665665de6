"""<queries>.conflicts.csv: images that got two different answers, until a person settles them.

The query list keeps the first answer; the second one must not get lost if the labelling page is closed or killed.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from dfal_cli.schemas import CONFLICTS_COLUMNS
from dfal_cli.system.files import locked
from dfal_cli.tables.csv_files import escaped_label, plain_label, read_csv, write_rows


class Pair(NamedTuple):
    """Two answers about one image."""

    first: str
    """The answer in the query list."""
    second: str


class Conflicts:
    """The images with two answers, stored in a file that exists only while there are any."""

    def __init__(self, path: Path, wait: float = 0.0) -> None:
        """Read the file if it exists. Raises DataError."""
        self.path = path
        self._wait = wait
        self._pairs = self._stored()

    @property
    def pairs(self) -> Mapping[str, Pair]:
        """Image -> its two answers."""
        return self._pairs

    def add(self, image: str, pair: Pair) -> None:
        """Store a conflict."""
        if self._pairs.get(image) != pair:
            self._change(lambda pairs: pairs | {image: pair})

    def settle(self, image: str) -> None:
        """Remove the conflict of an image, if there is one."""
        if image in self._pairs:
            self._change(lambda pairs: {other: pair for other, pair in pairs.items() if other != image})

    def _stored(self) -> dict[str, Pair]:
        if not self.path.exists():
            return {}
        table = read_csv(self.path, required=CONFLICTS_COLUMNS)
        columns = (table[name] for name in CONFLICTS_COLUMNS)
        return {image: Pair(plain_label(one), plain_label(two)) for image, one, two in zip(*columns, strict=True)}

    def _change(self, change: Callable[[dict[str, Pair]], dict[str, Pair]]) -> None:
        with locked(self.path, self._wait):
            pairs = change(self._stored())  # another page may have stored others
            rows = [(image, *map(escaped_label, pair)) for image, pair in pairs.items()]
            if rows:
                write_rows(self.path, CONFLICTS_COLUMNS, rows)
            else:
                self.path.unlink(missing_ok=True)
        self._pairs = pairs
