"""Runs a command: prints the result of its step, and turns errors into messages and exit codes."""

import contextlib
import math
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import typer

from dfal_cli.cli.console import reporter
from dfal_cli.cli.streams import as_json, print_error, print_path, print_result
from dfal_cli.errors import (
    TRANSIENT_ERRORS,
    DfalError,
    EmptyPoolError,
    Interrupted,
    StopError,
    TryAgainError,
    UsageError,
    underlying_os_error,
)
from dfal_cli.steps.result import Result
from dfal_cli.system.reporting import Silent, printable
from dfal_cli.system.signals import received

MAX_COUNT, MAX_SEED = 10**8, 2**64 - 1


class Run:
    """A running command: its reporter and its output."""

    def __init__(self, context: typer.Context) -> None:
        self._context = context
        self._started = time.monotonic()
        self.reporter: Silent = reporter(context.params["quiet"])
        self._results = sys.stdout

    def finish(self, result: Any) -> None:
        """Print the output paths (or the JSON object) to stdout, and the summary to stderr."""
        if self._context.params["json"]:
            self.print_json(result)
        else:
            for line in result.report:
                print_result(printable(line), self._results)
            for output in result.outputs:
                print_path(output, self._results)
            for change in result.details.get("changes", ()):
                print_result(f"{change['image']}: {change['before']!r} -> {change['after']!r}", self._results)
        if result.summary:
            self.reporter.note(result.summary)

    def print_json(self, result: Any) -> None:
        """Print the JSON object of `--json` to stdout."""
        print_result(as_json(_finite(self._as_json(result)), self._results), self._results)

    def _as_json(self, result: Any) -> dict[str, Any]:
        return {
            "command": self._context.info_name,
            "status": result.status,
            "outputs": [str(output) for output in result.outputs],
            "counts": result.counts,
            "warnings": self.reporter.warnings,
            "seconds": round(time.monotonic() - self._started, 3),
            **result.details,
        }


def _finite(value: Any) -> Any:
    """Replace infinite numbers and NaN, which JSON lacks, by None."""
    match value:
        case dict():
            return {name: _finite(each) for name, each in value.items()}
        case list() | tuple():
            return [_finite(each) for each in value]
        case float() if not math.isfinite(value):
            return None
    return value


@contextlib.contextmanager
def running(context: typer.Context) -> Iterator[Run]:
    """Run a command in the block and turn its errors into messages and the exit codes of docs/reliability.md."""
    run = Run(context)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout carries only results, but the user's network may print
            _check_numbers(context)
            yield run
    except DfalError as error:
        if isinstance(error, EmptyPoolError) and context.params["json"]:
            run.print_json(Result([], str(error), error.counts, status="empty pool"))
        if isinstance(error, StopError) and context.params["json"]:
            run.print_json(Result([], str(error), details={"stopping": dict(error.verdicts)}, status="stopped"))
        _exit(context, str(error), error.exit_code)
    except OSError as error:
        _exit(context, *describe_os_error(error))
    except Interrupted as interrupted:
        _exit(context, _progress_made(interrupted), interrupted.exit_code)
    except Exception as error:
        # Some libraries raise errors of their own after a signal or an error of the operating system.
        signal, os_error = received(), underlying_os_error(error)
        if signal is not None:
            _exit(context, _progress_made(signal), signal.exit_code)
        if os_error is None:
            raise
        _exit(context, *describe_os_error(os_error))


def _check_numbers(context: typer.Context) -> None:
    """Raise UsageError for a number that is not finite, or for an integer beyond the limits of torch and the system."""
    for parameter in context.command.params:
        name = parameter.name or ""
        value, maximum = context.params.get(name), MAX_SEED if name == "seed" else MAX_COUNT
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"{parameter.opts[0]}: must be a finite number, not {value}")
        if isinstance(value, int) and value > maximum:
            raise UsageError(f"{parameter.opts[0]}: must be at most {maximum:,}")


def _exit(context: typer.Context, message: str, code: int) -> None:
    print_error(f"{context.command_path}: {message}")
    raise typer.Exit(code)


def _progress_made(interrupted: Interrupted) -> str:
    """The last note of the interrupted step: notes of inner steps come first."""
    notes = getattr(interrupted, "__notes__", ())
    if notes:
        return f"interrupted {notes[-1]}"
    return "interrupted; all files are intact, run the same command again"


def describe_os_error(error: OSError) -> tuple[str, int]:
    """The message of an error of the operating system (file, reason, remedy if known), and the exit code."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    message = f"{error.filename}: {reason}" if error.filename else reason
    if error.errno in TRANSIENT_ERRORS:
        return f"{message}; {TRANSIENT_ERRORS[error.errno]}", TryAgainError.exit_code
    return message, UsageError.exit_code
