"""What a step may say while it works. It knows nothing of terminals."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol
from unicodedata import category

from dfal_cli.system import signals
from dfal_cli.system.progress import Progress, nothing

UNSEEN = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode's categories of control characters, halves of characters, and further kinds of line ends."""

TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of writing, so that a name reads as another one."""


def printable(text: str) -> str:
    r"""The text on one line, with whatever would steer a terminal written as \x1b: names come from strangers."""
    return "".join(_escaped(one) if category(one) in UNSEEN or one in TURNING else one for one in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


class Reporter(Protocol):
    """What a step may say. It knows nothing of terminals."""

    def note(self, text: str) -> None:
        """Say something a person may want to know."""

    def detail(self, text: str) -> None:
        """Say one of many such things about the work in hand, of which a log needs only some."""

    def warn(self, text: str) -> None:
        """Say something a person should know; it is kept for the summary as well."""

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Show a small table."""

    def progress(
        self, what: str, total: int | None, unit: str, done: int = 0, now: Callable[[], str] = nothing
    ) -> contextlib.AbstractContextManager[Progress]:
        """Show how far work has come; the arguments are those of Progress. The block is told where to say so.

        If a signal asks the command to end, `advance` raises Interrupted when the units in hand are done: try/finally
        around the loop is all it takes to keep them.
        """

    def busy(self, what: str) -> contextlib.AbstractContextManager[None]:
        """Show that the block is at work that cannot be counted. A signal ends it at once."""


class Silent:
    """A Reporter for use as a library: collects warnings, shows nothing."""

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
        self, what: str, total: int | None, unit: str, done: int = 0, now: Callable[[], str] = nothing
    ) -> Iterator[Progress]:
        """Show it in the way of this reporter, and let a signal wait for the units in hand."""
        progress = Progress(what, total, unit, done, now)
        with signals.postponed(), self._shown(progress):
            yield progress

    def busy(self, what: str) -> contextlib.AbstractContextManager[None]:
        """Show it in the way of this reporter."""
        return self._shown(Progress(what, None, ""))

    def _shown(self, progress: Progress) -> contextlib.AbstractContextManager[None]:
        """Show nothing."""
        return contextlib.nullcontext()
