"""Errors that are not bugs in dfal. Each class has its documented exit code."""

import errno
import os
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import ClassVar

TRANSIENT_ERRORS = {
    errno.ENOSPC: "free some disk space and run the same command again",
    errno.EDQUOT: "free some of the disk quota and run the same command again",
    errno.EFBIG: "allow larger files (ulimit -f) and run the same command again",
    errno.EMFILE: "allow more open files (ulimit -n), or use fewer --workers or --jobs, and run the same command again",
    errno.ENFILE: "run the same command again when other programs have ended",
    errno.EAGAIN: "run the same command again when fewer processes run (ulimit -u), or use fewer --workers or --jobs",
    errno.ENOMEM: "run the same command again when more memory is free, or use fewer --workers or --jobs",
}
"""Transient errors of the operating system (exit code 75) -> what to do about them."""

OS_ERROR_MESSAGES = {
    "can't start new thread": errno.EAGAIN,
    "Resource temporarily unavailable": errno.EAGAIN,
    "failed to map segment": errno.ENOMEM,
    "Cannot allocate memory": errno.ENOMEM,
}
"""Messages of other exceptions that Python and libraries raise for an error of the system -> its errno."""

MAX_SHOWN, MAX_LISTED = 80, 10


def shown(text: str) -> str:
    """Return the user's text for a message: quoted, on one line, and shortened if it is long."""
    cut = _quoted(text[:MAX_SHOWN])
    return cut if len(text) <= MAX_SHOWN else f"{cut}..."


def _quoted(text: str) -> str:
    r"""Quote like `repr`, but keep single backslashes in printable text: `'sub\a.png'`, as in the file."""
    return repr(text).replace(r"\\", "\\") if text.isprintable() else repr(text)


def listed(names: Iterable[str], most: int = MAX_LISTED) -> str:
    """Return the first names as a list for a message; a name is quoted where it would be unclear without."""
    plain = [
        name if name.isprintable() and name == name.strip() and 0 < len(name) <= MAX_SHOWN else shown(name)
        for name in islice(names, most + 1)
    ]
    return ", ".join([*plain[:most], *("..." for _ in plain[most:])])


def plural(count: int, one: str, many: str = "") -> str:
    """Return the form of a noun or verb that agrees with a count; `many` is `one` with an s if it is not given."""
    return one if count == 1 else many or f"{one}s"


def did_you_mean(name: str, known: Iterable[str], most: int = 1) -> str:
    """Return "; did you mean NAME?" with the most similar of the known names, or "" if none is similar."""
    import difflib

    near = difflib.get_close_matches(name[:MAX_SHOWN], list(known), n=most)
    return f"; did you mean {' or '.join(near)}?" if near else ""


class DfalError(Exception):
    """A problem that the user can solve. The message is one or two lines: file, line, what is wrong, what to do."""

    exit_code: ClassVar[int]


class UsageError(DfalError):
    """An invalid option or configuration, such as a file that does not exist or an output that already exists."""

    exit_code = 2


def unknown_name(option: str, name: str, known: Iterable[str], use: str = "use one of") -> UsageError:
    """Return the error that the value of an option is none of the known names."""
    known = list(known)
    return UsageError(f"{option} {name}: {use} {', '.join(known)}{did_you_mean(name, known)}")


class DataError(DfalError):
    """Invalid data in a table, an image or a checkpoint."""

    exit_code = 3


class EmptyPoolError(DataError):
    """The pool is empty. `--json` prints the counts, so that a script can tell that all images are labelled."""

    def __init__(self, message: str, labelled_and_excluded: Mapping[str, int]) -> None:
        super().__init__(message)
        self.counts = {"pool": 0, **labelled_and_excluded}


class StopError(DfalError):
    """A stopping rule holds (select --stop-when). `--json` prints the verdicts, so that a script can report them."""

    exit_code = 4

    def __init__(self, message: str, verdicts: Mapping[str, object]) -> None:
        super().__init__(message)
        self.verdicts = verdicts


class TryAgainError(DfalError):
    """A transient problem: a lock is held, or the disk or the GPU memory is full."""

    exit_code = 75


class Interrupted(BaseException):  # not an Exception: `except Exception` must not catch it
    """A signal asked the command to end. A step adds a note (`add_note`) that says what is saved and how to resume."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


def is_transient(error: BaseException) -> bool:
    """Return whether an error is one of TRANSIENT_ERRORS, which do not mean that a file is invalid."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in TRANSIENT_ERRORS)


def underlying_os_error(error: Exception) -> OSError | None:
    """Return the transient error of the system that caused another exception; None if there is none."""
    number = errno.ENOMEM if isinstance(error, MemoryError) else None
    number = next((number for words, number in OS_ERROR_MESSAGES.items() if words in str(error)), number)
    return None if number is None else OSError(number, os.strerror(number))
