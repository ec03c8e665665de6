"""<labels>.keys.csv: the key of each class on the labelling page and on preview pages.

Keys are stored because they must not move: a person's fingers know them from the rounds before. A new class gets the
next free key, and keys that people write into the file themselves are kept.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from dfal_cli.errors import DataError, shown
from dfal_cli.schemas import CLASS, KEY, KEYS_COLUMNS
from dfal_cli.system.files import locked
from dfal_cli.tables.csv_files import escaped_label, line_of, plain_label, read_csv, write_rows

COMMAND_KEYS = "gnpuz"
"""Letters that the page needs for itself: grid, new class, prediction, unusable, zoom."""

KEYS = "1234567890" + "".join(letter for letter in "abcdefghijklmnopqrstuvwxyz" if letter not in COMMAND_KEYS)
"""Keys of classes, in the order in which classes get them."""

LOCK_SECONDS = 10.0
"""Time to wait for the lock of the file: other commands hold it only for moments."""


class ClassKeys:
    """The classes and their keys, stored in a file."""

    def __init__(self, path: Path, wait: float = LOCK_SECONDS) -> None:
        """Read the file if it exists. Raises DataError if a key in it is not valid."""
        self.path = path
        self._wait = wait
        self._keys = _read(path)

    @property
    def in_order(self) -> Mapping[str, str]:
        """Class -> key, "" if there were more classes than keys; in the order of the keys, those without one last."""
        return dict(sorted(self._keys.items(), key=lambda item: (*KEYS, "").index(item[1])))

    def add(self, classes: Iterable[str]) -> None:
        """Give keys to the classes that are new, and store them, atomically."""
        if set(classes) <= self._keys.keys():
            return
        with locked(self.path, self._wait):
            stored = _read(self.path)  # another page may have added a class
            keys = _with_keys(stored | {name: key for name, key in self._keys.items() if name not in stored}, classes)
            write_rows(self.path, KEYS_COLUMNS, [(escaped_label(name), key) for name, key in keys.items()])
        self._keys = keys


def _with_keys(keys: Mapping[str, str], classes: Iterable[str]) -> dict[str, str]:
    """Return the keys of classes with the next free key for each class that has none; "" if all are taken."""
    given = dict(keys)
    for name in classes:
        if name not in given:
            given[name] = next((key for key in KEYS if key not in given.values()), "")
    return given


def _read(path: Path) -> dict[str, str]:
    """Return class -> key in a file, {} if it does not exist. Raises DataError, with the line."""
    keys: dict[str, str] = {}
    if not path.exists():
        return keys
    table = read_csv(path, required=KEYS_COLUMNS)
    for row, (name, key) in enumerate(zip(map(plain_label, table[CLASS]), table[KEY], strict=True)):
        problem = ""
        if name in keys:
            problem = f"class {shown(name)} appears twice"
        elif key and key not in set(KEYS):
            problem = f"key {shown(key)} cannot be used; use a digit or a letter other than {', '.join(COMMAND_KEYS)}"
        elif key and key in keys.values():
            problem = f"key {shown(key)} is already taken by another class"
        if problem:
            raise DataError(f"{path}, line {line_of(path, row)}: {problem}")
        keys[name] = key
    return keys
