"""Commands as processes that are stopped, killed, or kept from something."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.conftest import Ended

PROGRAM = (sys.executable, "-m", "dfal_cli")


@contextlib.contextmanager
def started(*arguments: object, program: tuple[str, ...] = PROGRAM, **settings: Any) -> Iterator[subprocess.Popen[str]]:
    """A command under way; killed at the end of the block if it still is."""
    # A test run in the background may have been told to ignore the signal.
    settings.setdefault("preexec_fn", lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    process = subprocess.Popen(
        [*program, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **settings
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process: "subprocess.Popen[str]") -> Ended:
    """How the command ended, when it has."""
    stdout, stderr = process.communicate(timeout=120)
    return Ended(process.returncode, stdout, stderr)


def wait_until(come: Callable[[], bool]) -> None:
    """Wait until it is so; fail after a minute."""
    deadline = time.monotonic() + 60
    while not come():
        assert time.monotonic() < deadline, "it has not come to that"
        time.sleep(0.01)


def said(process: "subprocess.Popen[str]", beginning: str) -> None:
    """Wait until the command says something that begins so on stderr."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(beginning):
            return
    raise AssertionError(f"it has ended without a word of {beginning!r}")


def names(folder: Path) -> set[str]:
    """All files and folders below, hidden ones too."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
