"""Notes, warnings, tables and progress for a person. They go to stderr: stdout carries only results."""

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
"""Interval of the progress lines if stderr is not a terminal."""

SECONDS_BEFORE_FIRST_LINE = 1.0
"""Shorter work gets no progress line."""

RED, YELLOW = 31, 33
"""ANSI colour codes."""


def say(text: str, color: int | None = None) -> None:
    """Print a line to stderr, in the given colour if it is a terminal. Errors of stderr are ignored."""
    line = printable(text)
    if color is not None and _shows_colours():
        line = f"\x1b[{color}m{line}\x1b[0m"
    with contextlib.suppress(OSError):  # a closed log must not end a long run
        sys.stderr.write(f"{line}\n")  # a single write, because two threads may print
        sys.stderr.flush()


def _shows_colours() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class Quiet(Silent):
    """Shows only warnings."""

    def warn(self, text: str) -> None:
        """Print and keep the warning."""
        super().warn(text)
        say(f"warning: {text}", YELLOW)


class Log(Quiet):
    """Shows plain lines, for cron and pipes, and a dated progress line every 30 seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._last_line = time.monotonic()
        self._latest = ""

    def note(self, text: str) -> None:
        """Print the line."""
        say(text)

    def detail(self, text: str) -> None:
        """Show the latest detail in the next progress line."""
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
        """Print a progress line every 30 seconds from a thread of its own."""
        finished = threading.Event()

        def print_lines() -> None:
            signal.pthread_sigmask(signal.SIG_BLOCK, signals.SIGNALS)  # the main thread handles signals
            minimum = min(SECONDS_BEFORE_FIRST_LINE, SECONDS_BETWEEN_LINES)
            while not finished.wait(max(minimum, self._last_line + SECONDS_BETWEEN_LINES - time.monotonic())):
                self._print_progress(progress)

        thread = threading.Thread(target=print_lines, name="log", daemon=True)
        thread.start()
        try:
            yield
        finally:
            finished.set()
            thread.join()

    def _print_progress(self, progress: Progress) -> None:
        self._last_line = time.monotonic()
        latest, self._latest = self._latest, ""
        date = time.strftime("%Y-%m-%d %H:%M:%S")
        self.note(f"{date} {progress.what}: {progress}" + (f"; {latest}" if latest else ""))


class Terminal(Log):
    """Shows colours, tables and a live progress bar."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)

    def note(self, text: str) -> None:
        """Print the line."""
        self._console.print(printable(text), markup=False, soft_wrap=True)  # do not break paths

    def detail(self, text: str) -> None:
        """Print the line."""
        self.note(text)

    def warn(self, text: str) -> None:
        """Print and keep the warning, in yellow."""
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
        """Show a bar with rate and remaining time, which disappears at the end."""
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
    """The reporter for --quiet, a terminal, or a log."""
    if quiet:
        return Quiet()
    return Terminal() if sys.stderr.isatty() else Log()
