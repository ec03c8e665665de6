"""What can go wrong that is not a bug in dfal; each kind has its documented exit code."""

import errno
import os
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import ClassVar

TRANSIENT_ERRORS = {
    errno.ENOSPC: "make room and run the same command again",
    errno.EDQUOT: "make room within the quota and run the same command again",
    errno.EFBIG: "allow larger files (ulimit -f) and run the same command again",
    errno.EMFILE: "allow more (ulimit -n), or use fewer --workers or --jobs, and run the same command again",
    errno.ENFILE: "run the same command again when others have ended",
    errno.EAGAIN: "run the same command again when less else is running (ulimit -u), or with fewer --workers or --jobs",
    errno.ENOMEM: "run the same command again when there is more memory, or with fewer --workers or --jobs",
}
"""Errors of the operating system that say nothing against what was asked, and what to do about each (exit code 75)."""

DISGUISED = {
    "can't start new thread": errno.EAGAIN,
    "Resource temporarily unavailable": errno.EAGAIN,
    "failed to map segment": errno.ENOMEM,
    "Cannot allocate memory": errno.ENOMEM,
}
"""What is said by errors that Python and libraries raise instead of such a one."""

LONGEST_SHOWN, MOST_LISTED = 80, 10


def shown(text: str) -> str:
    """How a message shows a piece of somebody's data: quoted, on one line, and cut if it is long."""
    cut = _quoted(text[:LONGEST_SHOWN])
    return cut if len(text) <= LONGEST_SHOWN else f"{cut}..."


def _quoted(text: str) -> str:
    r"""As Python does, but a printable text keeps its backslashes single: `'sub\a.png'`, as it stands in the file."""
    return repr(text).replace(r"\\", "\\") if text.isprintable() else repr(text)


def listed(names: Iterable[str], most: int = MOST_LISTED) -> str:
    """How a message lists somebody's names: the first of them, quoted where that is needed to see what they are."""
    plain = [
        name if name.isprintable() and name == name.strip() and 0 < len(name) <= LONGEST_SHOWN else shown(name)
        for name in islice(names, most + 1)
    ]
    return ", ".join([*plain[:most], *("..." for _ in plain[most:])])


class DfalError(Exception):
    """A problem the user can act on. The message is one or two lines: file, line, what is wrong, what to do."""

    exit_code: ClassVar[int]


class UsageError(DfalError):
    """Options or configuration are wrong: a named file that does not exist, an output that is in the way."""

    exit_code = 2


class DataError(DfalError):
    """The data are wrong: a table, an image or a checkpoint does not hold what it should."""

    exit_code = 3


class EmptyPoolError(DataError):
    """No image is left to ask about. `--json` prints the counts, by which a script knows that the work is done."""

    def __init__(self, message: str, labelled_and_excluded: Mapping[str, int]) -> None:
        super().__init__(message)
        self.counts = {"pool": 0, **labelled_and_excluded}


class TryAgainError(DfalError):
    """Nothing is wrong but the moment: a lock is held, the disk or the GPU is full."""

    exit_code = 75


class Interrupted(BaseException):  # not an Exception: nobody may take it for an error
    """A signal asked the command to end. A step adds a note (`add_note`) on what is kept and where it goes on."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


def is_transient(error: BaseException) -> bool:
    """Whether it is one of TRANSIENT_ERRORS: such an error is nobody's file's fault, and must not be taken for one."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in TRANSIENT_ERRORS)


def underlying_os_error(error: Exception) -> OSError | None:
    """The error of TRANSIENT_ERRORS that another one stands for; None if it stands for itself."""
    number = errno.ENOMEM if isinstance(error, MemoryError) else None
    number = next((number for words, number in DISGUISED.items() if words in str(error)), number)
    return None if number is None else OSError(number, os.strerror(number))
