"""Problems with a list of answers. All of them are collected before the list is rejected."""

from collections.abc import Callable, Hashable, Iterable
from typing import NamedTuple

from dfal_cli.errors import DataError, listed, plural


class Problem(NamedTuple):
    """A problem with one row."""

    row: Hashable
    message: str | Callable[[], str]
    """A function if the message takes time to build: only the first problem is described."""
    new_class: str = ""
    """The new class the problem is about, if any."""


Location = Callable[[Hashable], str]
"""Returns the file and line of a row, for messages."""


def raise_first(problems: Iterable[Problem], location: Location) -> None:
    """Raise DataError for the first problem by row, with the number of others and the other new classes."""
    found = sorted(problems, key=lambda problem: int(str(problem.row)))
    if not found:
        return
    first, more = found[0], len(found) - 1
    message = first.message if isinstance(first.message, str) else first.message()
    others = f" ({more} more {plural(more, 'problem')} in this list)" if more else ""
    names = [problem.new_class for problem in found[1:] if problem.new_class]
    classes = f"; other new classes: {listed(names)}" if names else ""
    raise DataError(f"{location(first.row)}: {message}{others}{classes}")
