"""SIGINT and SIGTERM: the first lets the batch in hand be finished and what is finished be kept; a second ends at once.

Only a command installs this (`handled`). As a library dfal leaves signals alone, and nothing here has any effect.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

from dfal_cli.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)

SHOW_CURSOR = b"\x1b[?25h"
"""A progress bar hides it."""


class _State:
    """What this process has been told; signals are the process's, so there is one of it."""

    received: int | None = None
    postponed: bool = False


_state = _State()


@contextlib.contextmanager
def handled() -> Iterator[None]:
    """In the block the first signal raises Interrupted, at once or where `postponed` says. One that the caller had
    this process ignore (nohup, or a shell's background) stays ignored.
    """
    before = {number: signal.getsignal(number) for number in SIGNALS}
    _state.received, _state.postponed = None, False
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _receive)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def postponed() -> Iterator[None]:
    """Within the block a signal is raised only by `check`, so that what is in hand can be finished; and at its end."""
    check()
    with _postponing(True):
        yield
    check()


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """Within the block a signal is raised at once all the same: what is in hand may take hours, and is kept anyway."""
    with _postponing(False):
        check()
        yield


def check() -> None:
    """Raises Interrupted if a signal has come."""
    if _state.received is not None:
        raise Interrupted(_state.received)


def received() -> Interrupted | None:
    """What `check` would raise: other code may have swallowed it, or have made another error of it."""
    return None if _state.received is None else Interrupted(_state.received)


@contextlib.contextmanager
def _postponing(postponed: bool) -> Iterator[None]:
    before, _state.postponed = _state.postponed, postponed
    try:
        yield
    finally:
        _state.postponed = before


def _receive(number: int, frame: FrameType | None) -> None:
    if _state.received is not None:
        if os.isatty(2):
            os.write(2, SHOW_CURSOR)
        os._exit(128 + number)
    _state.received = number
    if not _state.postponed:
        raise Interrupted(number)
