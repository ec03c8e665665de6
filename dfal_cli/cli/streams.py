"""stdin, stdout and stderr as they may be given to a command: closed, full, or with nobody reading."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from dfal_cli.cli.console import RED, say


def make_sure_of_streams() -> None:
    """Let no output file get the number of a stream that is closed: what libraries print would go into it."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w")


def tell(text: str, stdout: TextIO) -> None:
    """Print a result there; what its encoding lacks is escaped. Raises OSError."""
    encoding = stdout.encoding or "utf-8"
    with reading_may_end():
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stdout, flush=True)


def tell_path(path: Path, stdout: TextIO) -> None:
    """Print a path there, as the bytes that the file system knows it by, whatever the encoding. Raises OSError."""
    binary = getattr(stdout, "buffer", None)
    if binary is None:  # text is all that it takes
        tell(str(path), stdout)
        return
    with reading_may_end():
        stdout.flush()
        binary.write(os.fsencode(path) + b"\n")
        binary.flush()


def as_json(value: Any, stdout: TextIO) -> str:
    """The value in one line of JSON, in ASCII where the stream's encoding does not hold all of it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False)
    return text


@contextlib.contextmanager
def reading_may_end() -> Iterator[None]:
    """If whoever reads what the block prints has had enough (`| head`), that is all right. Raises OSError."""
    try:
        yield
    except OSError as error:
        _give_up(1)
        if not isinstance(error, BrokenPipeError):
            error.filename = "stdout"
            raise


def complain(*lines: str) -> None:
    """Print to stderr, in red on a terminal, as far as it takes it: the exit code says so too."""
    for line in lines:
        say(line, RED)


def _give_up(descriptor: int) -> None:
    """Nothing more can be written there, nor what Python still holds back for it when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
