"""Locks between processes: files that the operating system unlocks when their holder ends.

The locks are those of flock, so a killed process blocks no other. Current network file systems (NFS 4, SMB 3) honour
them between machines; a file system without locks raises LocksUnsupportedError.
"""

import contextlib
import errno
import fcntl
import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path

UNSUPPORTED = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)

SECONDS_BETWEEN_TRIES = 0.2

MAX_NOTE_BYTES = 4096

_held: dict[Path, int] = {}
"""The locks of this process -> their file descriptors."""


class LockHeldError(Exception):
    """Another process holds the lock; the message names it."""


class LocksUnsupportedError(Exception):
    """The file system has no locks."""


@contextlib.contextmanager
def holding(path: Path, timeout: float, tell: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock file `path` in the block and write the holder into it. If it is held, `tell` by whom, and wait.

    The folder of the lock is created, also if the previous holder removed it.
    The lock file is removed at the end; a waiting process notices and creates a new one.
    Raises LockHeldError if it is still held after `timeout` seconds, LocksUnsupportedError or OSError.
    """
    descriptor = take_with_timeout(path, timeout, tell)
    try:
        with contextlib.suppress(OSError):  # another user owns the file
            os.fchmod(descriptor, 0o666)  # regardless of the umask: other users must be able to take over the lock
        _note_holder(descriptor)
        _held[path] = descriptor
        yield
    finally:
        _held.pop(path, None)
        release(descriptor, path)


def is_lost(path: Path) -> bool:
    """Return whether the file of a lock that this process holds was removed, so that another command could lock it."""
    return path in _held and not _is_at(_held[path], path)


def take(path: Path) -> int:
    """Open or create the file, lock it and return its descriptor, which unlocks the file when it is closed.

    Raises LockHeldError, LocksUnsupportedError or OSError.
    """
    while True:
        descriptor = _opened(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, path):
                return descriptor
        except BlockingIOError:
            holder = _noted_holder(descriptor)
            os.close(descriptor)
            raise LockHeldError(holder) from None
        except OSError as error:
            os.close(descriptor)
            if error.errno in UNSUPPORTED:
                raise LocksUnsupportedError from None
            raise
        os.close(descriptor)  # the file was removed or renamed between opening and locking


def release(descriptor: int, path: Path) -> None:
    """Unlock the file, and remove it if it still exists."""
    with contextlib.suppress(OSError):  # it does no harm if it cannot be removed
        if _is_at(descriptor, path):
            path.unlink()
    os.close(descriptor)


def take_with_timeout(path: Path, timeout: float, tell: Callable[[str], None] = lambda holder: None) -> int:
    """Call `take`; if the lock is held, `tell` by whom once, and try again for up to `timeout` seconds."""
    deadline = time.monotonic() + timeout
    was_told = False
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return take(path)
        except FileNotFoundError:  # the holder removed the empty folder
            continue
        except LockHeldError as held:
            left = deadline - time.monotonic()
            if left <= 0:
                raise
            if not was_told:
                tell(str(held))
                was_told = True
        time.sleep(min(left, SECONDS_BETWEEN_TRIES))


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except PermissionError:
        if not path.exists():
            raise
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)  # a killed command of another user left it


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether an open file is the one at `path`."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False


def _note_holder(descriptor: int) -> None:
    holder = f"process {os.getpid()} on {platform.node()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}"
    with contextlib.suppress(OSError):  # if the disk is full, the lock is held without a note
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, holder.encode(), 0)


def _noted_holder(descriptor: int) -> str:
    note = os.pread(descriptor, MAX_NOTE_BYTES, 0).decode(errors="replace")
    return note if note.isprintable() and note else "another process"
