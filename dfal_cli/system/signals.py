"""Handling of SIGINT and SIGTERM: the first signal lets the current batch finish and be saved; a second ends at once.

Only commands install the handlers (`handled`). In library use signals are left alone and this module has no effect.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

from dfal_cli.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)

SHOW_CURSOR = b"\x1b[?25h"
"""Terminal sequence that shows the cursor, which a progress bar hides."""


class _State:
    """Signal state of this process."""

    received: int | None = None
    postponed: bool = False


_state = _State()


@contextlib.contextmanager
def handled() -> Iterator[None]:
    """Make the first signal in the block raise Interrupted, at once or as `postponed` determines.

    Signals that this process was started to ignore (nohup, background jobs of a shell) stay ignored.
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
    """Raise Interrupted for a signal only in `check` and at the end of the block, so that work can be finished."""
    check()
    with _postponing(True):
        yield
    check()


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """Raise Interrupted at once within a `postponed` block, for work that takes long and is saved anyway."""
    with _postponing(False):
        check()
        yield


@contextlib.contextmanager
def ignored() -> Iterator[None]:
    """Ignore signals in the block: another process, which gets them as well, decides what they end."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def check() -> None:
    """Raise Interrupted if a signal was received."""
    if _state.received is not None:
        raise Interrupted(_state.received)


def received() -> Interrupted | None:
    """Return the exception that `check` would raise; other code may have swallowed or replaced the first one."""
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
