"""stdin, stdout and stderr as they may be given to a command: closed, full, or with nobody reading."""

import contextlib
import os
import sys
from typing import TextIO

from dfal_cli.console import printable


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
    """Print a result there. If whoever reads has had enough (`| head`), that is all right. Raises OSError."""
    try:
        print(text, file=stdout, flush=True)
    except OSError as error:
        _give_up(1)
        if not isinstance(error, BrokenPipeError):
            error.filename = "stdout"
            raise


def complain(*lines: str) -> None:
    """Print to stderr, as far as it takes it: the exit code says so too. What breaks a line within one is escaped."""
    with contextlib.suppress(OSError):
        print(*map(printable, lines), sep="\n", file=sys.stderr, flush=True)


def _give_up(descriptor: int) -> None:
    """Nothing more can be written there, nor what Python still holds back for it when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
