"""The interface through which a step reports messages and progress, independent of terminals."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol
from unicodedata import category

from dfal_cli.system import signals
from dfal_cli.system.progress import Progress, no_detail

CONTROL_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode categories of control characters, surrogates, line separators and paragraph separators."""

DIRECTION_CHARACTERS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the writing direction and so can make a name look like another one."""


def printable(text: str) -> str:
    r"""Return the text on one line, with control characters escaped (\x1b), as file names may come from strangers."""
    return "".join(
        _escaped(one) if category(one) in CONTROL_CATEGORIES or one in DIRECTION_CHARACTERS else one for one in text
    )


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


class Reporter(Protocol):
    """Receives the messages and the progress of a step."""

    def note(self, text: str) -> None:
        """Report information."""

    def detail(self, text: str) -> None:
        """Report one of many details of the current work; a log shows only some of them."""

    def warn(self, text: str) -> None:
        """Report a warning, which the summary repeats."""

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Show a small table."""

    def progress(
        self, what: str, total: int | None, unit: str, done: int = 0, now: Callable[[], str] = no_detail
    ) -> contextlib.AbstractContextManager[Progress]:
        """Yield a Progress with these arguments and show it during the block.

        If a signal asks the command to end, `advance` raises Interrupted after the current units are finished, so a
        try/finally around the loop can save them.
        """

    def busy(self, what: str) -> contextlib.AbstractContextManager[None]:
        """Show that uncountable work is in progress during the block. A signal interrupts it immediately."""


class Silent:
    """A Reporter for library use, which collects warnings and shows nothing."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def note(self, text: str) -> None:
        """Show nothing."""

    def detail(self, text: str) -> None:
        """Show nothing."""

    def warn(self, text: str) -> None:
        """Keep the warning."""
        self.warnings.append(text)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Show nothing."""

    @contextlib.contextmanager
    def progress(
        self, what: str, total: int | None, unit: str, done: int = 0, now: Callable[[], str] = no_detail
    ) -> Iterator[Progress]:
        """Yield a Progress; signals wait until the current units are finished."""
        progress = Progress(what, total, unit, done, now)
        with signals.postponed(), self._shown(progress):
            yield progress

    def busy(self, what: str) -> contextlib.AbstractContextManager[None]:
        """Show that uncountable work is in progress."""
        return self._shown(Progress(what, None, ""))

    def _shown(self, progress: Progress) -> contextlib.AbstractContextManager[None]:
        """Show the progress during the block; this reporter shows nothing."""
        return contextlib.nullcontext()
