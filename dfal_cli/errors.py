"""What can go wrong that is not a bug in dfal; each kind has its documented exit code."""

from typing import ClassVar


class DfalError(Exception):
    """A problem the user can act on. The message is one or two lines: file, line, what is wrong, what to do."""

    exit_code: ClassVar[int]


class UsageError(DfalError):
    """Options or configuration are wrong: a named file that does not exist, an output that is in the way."""

    exit_code = 2


class DataError(DfalError):
    """The data are wrong: a table, an image or a checkpoint does not hold what it should."""

    exit_code = 3


class TryAgainError(DfalError):
    """Nothing is wrong but the moment: a lock is held, the disk or the GPU is full."""

    exit_code = 75
