"""What a person reads while dfal works. All of it goes to stderr: stdout carries only results."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol
from unicodedata import category

from dfal_cli import signals

SECONDS_BETWEEN_LINES = 30.0
"""In a log (no terminal), progress is one dated line now and then."""

UNSEEN = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode's categories of control characters, halves of characters, and further kinds of line ends."""

TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of writing, so that a name reads as another one."""

Advance = Callable[[int], None]


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
        """Say one of many such things, of which a log needs only some."""

    def warn(self, text: str) -> None:
        """Say something a person should know; it is kept for the summary as well."""

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Show a small table."""

    def progress(self, what: str, total: int, unit: str, done: int = 0) -> contextlib.AbstractContextManager[Advance]:
        """Show how far `total` units of work have come; the block gets a function to call with each count done.

        `done` of them were there before. If a signal asks the command to end, that function raises Interrupted when
        the units in hand are done: try/finally around the loop is all it takes to keep them.
        """


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
    def progress(self, what: str, total: int, unit: str, done: int = 0) -> Iterator[Advance]:
        """Show it in the way of this reporter, and let a signal wait for the units in hand."""
        with signals.postponed(), self._shown(what, total, unit, done) as show:

            def advance(count: int) -> None:
                show(count)
                signals.check()

            yield advance

    @contextlib.contextmanager
    def _shown(self, what: str, total: int, unit: str, done: int) -> Iterator[Advance]:
        """Show nothing."""
        yield lambda count: None


class Log(Silent):
    """Plain lines, for cron and pipes: dated progress now and then."""

    def __init__(self) -> None:
        super().__init__()
        self._last_line = time.monotonic()

    def note(self, text: str) -> None:
        """Print the line."""
        with contextlib.suppress(OSError):  # a night's work must not end because nobody reads its log any more
            print(printable(text), file=sys.stderr, flush=True)

    def detail(self, text: str) -> None:
        """Print the line with its date, at most every half minute."""
        if time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            self.note(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}")

    def warn(self, text: str) -> None:
        """Print the warning and keep it."""
        super().warn(text)
        Log.note(self, f"warning: {text}")

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print the table with its columns aligned."""
        cells = [[printable(str(cell)) for cell in row] for row in (columns, *rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(columns))]
        self.note(title)
        for row in cells:
            self.note("  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))

    @contextlib.contextmanager
    def _shown(self, what: str, total: int, unit: str, done: int) -> Iterator[Advance]:
        """Print a dated line at most every half minute."""
        started = time.monotonic()
        before = done

        def advance(count: int) -> None:
            nonlocal done
            done += count
            rate = (done - before) / max(1e-9, time.monotonic() - started)
            left = _duration((total - done) / rate) if rate else "?"
            self.detail(f"{what}: {done} of {total} {unit}, {rate:.1f} {unit}/s, {left} left")

        yield advance


class Terminal(Log):
    """Colours, tables and a live progress bar."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)

    def note(self, text: str) -> None:
        """Print the line."""
        self._console.print(printable(text), markup=False)

    def detail(self, text: str) -> None:
        """Print the line."""
        self.note(text)

    def warn(self, text: str) -> None:
        """Print the warning in yellow and keep it."""
        self.warnings.append(text)
        self._console.print(printable(f"warning: {text}"), markup=False, style="yellow")

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Draw the table."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD)
        for column in columns:
            table.add_column(Text(printable(column)), justify="right")
        for row in rows:
            table.add_row(*(Text(printable(str(cell))) for cell in row))
        self._console.print(table)

    @contextlib.contextmanager
    def _shown(self, what: str, total: int, unit: str, done: int) -> Iterator[Advance]:
        """Show a bar with speed and time left, which disappears when done."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as bar:
            task = bar.add_task(what, total=total, completed=done, rate="")

            def advance(count: int) -> None:
                bar.advance(task, count)
                speed = bar.tasks[task].speed
                bar.update(task, rate=f"{speed:.0f} {unit}/s" if speed else "")

            yield advance


class Quiet(Log):
    """Warnings only."""

    def note(self, text: str) -> None:
        """Show nothing."""


def reporter(quiet: bool) -> Log:
    """The Reporter that fits where stderr goes."""
    if quiet:
        return Quiet()
    return Terminal() if sys.stderr.isatty() else Log()


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
