"""What all commands have in common: options become a step's arguments, and how it ended becomes an exit code."""

import contextlib
import dataclasses
import errno
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import typer

from dfal_cli.console import Log, printable, reporter
from dfal_cli.errors import DfalError, UsageError

Options = TypeVar("Options")

ENVIRONMENT_ERRORS = {
    # The disk is full: nothing is wrong with what was asked.
    errno.ENOSPC: 75,
    errno.EDQUOT: 75,
    errno.EMFILE: 75,
}
"""Exit codes for errors of the operating system; the others mean that a named place cannot be used (2)."""


class Run:
    """One command being carried out."""

    def __init__(self, context: typer.Context) -> None:
        self._context = context
        self._started = time.monotonic()
        self.reporter: Log = reporter(context.params["quiet"])
        self._results = sys.stdout

    def options(self, kind: Callable[..., Options]) -> Options:
        """The step's options, an options dataclass, from the command's parameters of the same names."""
        fields = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
        return kind(**{name: self._context.params[name] for name in fields})

    def apply_preset(self, presets: dict[str, dict[str, Any]]) -> None:
        """Let the values of `--preset` stand in for the options that were not given."""
        name = self._context.params["preset"]
        if name is None:
            return
        if name not in presets:
            raise UsageError(f"--preset {name}: use {' or '.join(presets)}")
        for option, value in presets[name].items():
            source = self._context.get_parameter_source(option)
            if source is not None and source.name == "DEFAULT":
                self._context.params[option] = value

    def finish(self, result: Any) -> None:
        """Print what was written to stdout, and one sentence about it to stderr."""
        if self._context.params["json"]:
            self._print(json.dumps(self._as_json(result), ensure_ascii=False))
        else:
            for output in result.outputs:
                self._print(output)
            for change in result.details.get("changes", ()):
                self._print(f"{change['image']}: {change['before']!r} -> {change['after']!r}")
        self.reporter.note(result.summary)

    def _print(self, result: object) -> None:
        print(result, file=self._results)

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


@contextlib.contextmanager
def running(context: typer.Context) -> Iterator[Run]:
    """Carry out a command in the block; its errors become messages and exit codes, as documented in the README."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    run = Run(context)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # a network of one's own may print; stdout carries only results
            yield run
    except DfalError as error:
        _stop(context, str(error), error.exit_code)
    except OSError as error:
        _stop(context, _what_failed(error), ENVIRONMENT_ERRORS.get(error.errno or 0, 2))
    except KeyboardInterrupt as stopped:
        _stop(context, _how_far(stopped), 130)
    except SystemExit as stopped:  # a signal
        _stop(context, _how_far(stopped), int(stopped.code or 0))


def _stop(context: typer.Context, message: str, code: int) -> None:
    print(printable(f"{context.command_path}: {message}"), file=sys.stderr)
    raise typer.Exit(code)


def _how_far(stopped: BaseException) -> str:
    """What the step had to say about it."""
    return " ".join(("interrupted", *getattr(stopped, "__notes__", ())))


def _what_failed(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)
