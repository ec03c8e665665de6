"""Printing to stdout and stderr, which may be closed, full, or a pipe that nobody reads."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from dfal_cli.cli.console import RED, say

_muted: list[int] = []
"""The descriptor of stderr while it is muted."""


def open_missing_streams() -> None:
    """Open /dev/null for each closed standard stream: output files would get its number, and libraries print there."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w")


def mute() -> None:
    """Print nothing from now on, nor let libraries print, until `unmute`."""
    _muted.append(os.dup(2))
    for descriptor in (1, 2):
        _discard_output(descriptor)


def unmute() -> None:
    """Print errors again."""
    os.dup2(_muted.pop(), 2)


def is_muted() -> bool:
    """Return whether nothing is printed."""
    return bool(_muted)


def print_result(text: str, stdout: TextIO) -> None:
    """Print a result; characters that the encoding of `stdout` lacks are escaped. Raises OSError."""
    encoding = stdout.encoding or "utf-8"
    with closed_pipe_allowed():
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stdout, flush=True)


def print_path(path: Path, stdout: TextIO) -> None:
    """Print a path as the bytes of its name in the file system, whatever the encoding. Raises OSError."""
    binary = getattr(stdout, "buffer", None)
    if binary is None:  # a stream of text only
        print_result(str(path), stdout)
        return
    with closed_pipe_allowed():
        stdout.flush()
        binary.write(os.fsencode(path) + b"\n")
        binary.flush()


def as_json(value: Any, stdout: TextIO) -> str:
    """The value as one line of JSON; in ASCII if the encoding of `stdout` lacks some of its characters."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False)
    return text


@contextlib.contextmanager
def closed_pipe_allowed() -> Iterator[None]:
    """Ignore a reader that closes the pipe early, such as `| head`. Raises OSError for other errors of stdout."""
    try:
        yield
    except OSError as error:
        _discard_output(1)
        if not isinstance(error, BrokenPipeError):
            error.filename = "stdout"
            raise


def print_error(*lines: str) -> None:
    """Print lines to stderr, in red on a terminal. Errors of stderr are ignored, as the exit code tells too."""
    for line in lines:
        say(line, RED)


def _discard_output(descriptor: int) -> None:
    """Redirect the descriptor to /dev/null, so that Python does not fail to flush its buffer at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)
