"""What a person reads while dfal works. All of it goes to stderr: stdout carries only results."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence

from dfal_cli.system import signals
from dfal_cli.system.progress import Progress
from dfal_cli.system.reporting import Silent, printable

SECONDS_BETWEEN_LINES = 30.0
"""In a log (no terminal), progress is one dated line so often, as long as work goes on."""

QUICK = 1.0
"""Work that takes fewer seconds has no line of its own."""

RED, YELLOW = 31, 33
"""Colours, as terminals number them."""


def say(text: str, color: int | None = None) -> None:
    """Print a line to stderr, as far as it takes it; in that colour if it is a terminal."""
    line = printable(text)
    if color is not None and _shows_colours():
        line = f"\x1b[{color}m{line}\x1b[0m"
    with contextlib.suppress(OSError):  # a night's work must not end because nobody reads its log any more
        sys.stderr.write(f"{line}\n")  # in one go, as two threads may print
        sys.stderr.flush()


def _shows_colours() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class Quiet(Silent):
    """Warnings only."""

    def warn(self, text: str) -> None:
        """Print the warning and keep it."""
        super().warn(text)
        say(f"warning: {text}", YELLOW)


class Log(Quiet):
    """Plain lines, for cron and pipes: dated progress now and then."""

    def __init__(self) -> None:
        super().__init__()
        self._last_line = time.monotonic()
        self._latest = ""

    def note(self, text: str) -> None:
        """Print the line."""
        say(text)

    def detail(self, text: str) -> None:
        """Have it stand in the next line on the work in hand, unless something newer has to be said by then."""
        self._latest = text

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print the table with its columns aligned."""
        cells = [[printable(str(cell)) for cell in row] for row in (columns, *rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(columns))]
        self.note(title)
        for row in cells:
            self.note("  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))

    @contextlib.contextmanager
    def _shown(self, progress: Progress) -> Iterator[None]:
        """Print a dated line every half minute, whatever the block is doing."""
        over = threading.Event()

        def tell_now_and_then() -> None:
            signal.pthread_sigmask(signal.SIG_BLOCK, signals.SIGNALS)  # they are for the thread that works
            quick = min(QUICK, SECONDS_BETWEEN_LINES)
            while not over.wait(max(quick, self._last_line + SECONDS_BETWEEN_LINES - time.monotonic())):
                self._tell(progress)

        thread = threading.Thread(target=tell_now_and_then, name="log", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _tell(self, progress: Progress) -> None:
        self._last_line = time.monotonic()
        latest, self._latest = self._latest, ""
        date = time.strftime("%Y-%m-%d %H:%M:%S")
        self.note(f"{date} {progress.what}: {progress}" + (f"; {latest}" if latest else ""))


class Terminal(Log):
    """Colours, tables and a live progress bar."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)

    def note(self, text: str) -> None:
        """Print the line."""
        self._console.print(printable(text), markup=False, soft_wrap=True)  # so that a path stays in one piece

    def detail(self, text: str) -> None:
        """Print the line."""
        self.note(text)

    def warn(self, text: str) -> None:
        """Print the warning in yellow and keep it."""
        self.warnings.append(text)
        self._console.print(printable(f"warning: {text}"), markup=False, soft_wrap=True, style="yellow")

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Draw the table."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD)
        for column in columns:
            table.add_column(Text(printable(column)), justify="right", overflow="fold")
        for row in rows:
            table.add_row(*(Text(printable(str(cell))) for cell in row))
        self._console.print(table)

    @contextlib.contextmanager
    def _shown(self, progress: Progress) -> Iterator[None]:
        """Show a bar with rate and time left, which disappears when done."""
        from rich import progress as bars

        columns = (
            bars.SpinnerColumn(),
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(),
            bars.TextColumn("{task.fields[progress]}", markup=False),
        )
        with bars.Progress(*columns, console=self._console, transient=True) as bar:
            task = bar.add_task(progress.what, total=None, progress=progress)

            def move() -> None:
                bar.update(task, completed=progress.share, total=None if progress.total is None else 1.0)

            progress.on_change = move
            move()
            yield


def reporter(quiet: bool) -> Silent:
    """The Reporter that fits where stderr goes."""
    if quiet:
        return Quiet()
    return Terminal() if sys.stderr.isatty() else Log()
