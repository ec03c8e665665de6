"""What is wrong with a list of answers: all of it is found before anything is refused."""

from collections.abc import Callable, Hashable, Iterable
from typing import NamedTuple

from dfal_cli.errors import DataError, listed


class Problem(NamedTuple):
    """What is wrong with a row."""

    row: Hashable
    what: str | Callable[[], str]
    """In words; only the first problem is told, so it may take some time."""
    new_class: str = ""
    """The class that it is about, if it is about one."""


Where = Callable[[Hashable], str]
"""Where a row of the list stands, for a message."""


def refuse(problems: Iterable[Problem], where: Where) -> None:
    """Raises DataError with the first of the problems, by row, and how many more there are, with their new classes."""
    found = sorted(problems, key=lambda problem: int(str(problem.row)))
    if not found:
        return
    first, more = found[0], len(found) - 1
    what = first.what if isinstance(first.what, str) else first.what()
    also = f" ({more} more {'problems' if more > 1 else 'problem'} in this list)" if more else ""
    others = [problem.new_class for problem in found[1:] if problem.new_class]
    classes = f"; other new classes: {listed(others)}" if others else ""
    raise DataError(f"{where(first.row)}: {what}{also}{classes}")
