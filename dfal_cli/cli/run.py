"""What all commands have in common: options become a step's arguments, and how it ended becomes an exit code."""

import contextlib
import math
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import typer

from dfal_cli.cli.console import reporter
from dfal_cli.cli.streams import as_json, complain, tell, tell_path
from dfal_cli.errors import (
    TRANSIENT_ERRORS,
    DfalError,
    EmptyPoolError,
    Interrupted,
    TryAgainError,
    UsageError,
    underlying_os_error,
)
from dfal_cli.steps.result import Result
from dfal_cli.system.reporting import Silent
from dfal_cli.system.signals import received

LARGEST_COUNT, LARGEST_SEED = 10**8, 2**64 - 1


class Run:
    """One command being carried out."""

    def __init__(self, context: typer.Context) -> None:
        self._context = context
        self._started = time.monotonic()
        self.reporter: Silent = reporter(context.params["quiet"])
        self._results = sys.stdout

    def finish(self, result: Any) -> None:
        """Print what was written to stdout, and one sentence about it to stderr."""
        if self._context.params["json"]:
            self.tell_of(result)
        else:
            for output in result.outputs:
                tell_path(output, self._results)
            for change in result.details.get("changes", ()):
                tell(f"{change['image']}: {change['before']!r} -> {change['after']!r}", self._results)
        self.reporter.note(result.summary)

    def tell_of(self, result: Any) -> None:
        """Print the object of `--json`."""
        tell(as_json(_finite(self._as_json(result)), self._results), self._results)

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
    """The same with null in the place of a number that is not finite: JSON has none, and its readers stop at NaN."""
    match value:
        case dict():
            return {name: _finite(one) for name, one in value.items()}
        case list() | tuple():
            return [_finite(one) for one in value]
        case float() if not math.isfinite(value):
            return None
    return value


@contextlib.contextmanager
def running(context: typer.Context) -> Iterator[Run]:
    """Carry out a command in the block; its errors become messages and the exit codes of docs/reliability.md."""
    run = Run(context)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # a network of one's own may print; stdout carries only results
            _check_numbers(context)
            yield run
    except DfalError as error:
        if isinstance(error, EmptyPoolError) and context.params["json"]:
            run.tell_of(Result([], str(error), error.counts, status="empty pool"))
        _stop(context, str(error), error.exit_code)
    except OSError as error:
        _stop(context, *what_failed(error))
    except Interrupted as stopped:
        _stop(context, _how_far(stopped), stopped.exit_code)
    except Exception as error:
        stopped_meanwhile, behind = received(), underlying_os_error(error)  # some libraries make another error of it
        if stopped_meanwhile is not None:
            _stop(context, _how_far(stopped_meanwhile), stopped_meanwhile.exit_code)
        if behind is None:
            raise
        _stop(context, *what_failed(behind))


def _check_numbers(context: typer.Context) -> None:
    """Raises UsageError: a number is infinite, none at all (nan), or a whole one larger than torch and the system take.

    Help needs no word of it.
    """
    for parameter in context.command.params:
        name = parameter.name or ""
        value, largest = context.params.get(name), LARGEST_SEED if name == "seed" else LARGEST_COUNT
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"{parameter.opts[0]}: must be a finite number, not {value}")
        if isinstance(value, int) and value > largest:
            raise UsageError(f"{parameter.opts[0]}: must be at most {largest:,}")


def _stop(context: typer.Context, message: str, code: int) -> None:
    complain(f"{context.command_path}: {message}")
    raise typer.Exit(code)


def _how_far(stopped: Interrupted) -> str:
    """What the step had to say about it, not those within it."""
    notes = getattr(stopped, "__notes__", ())
    return f"interrupted {notes[-1]}" if notes else "interrupted; nothing is half written, the same command goes on"


def what_failed(error: OSError) -> tuple[str, int]:
    """The place and the reason, what to do where that can be known, and the exit code."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    message = f"{error.filename}: {reason}" if error.filename else reason
    if error.errno in TRANSIENT_ERRORS:
        return f"{message}; {TRANSIENT_ERRORS[error.errno]}", TryAgainError.exit_code
    return message, UsageError.exit_code
