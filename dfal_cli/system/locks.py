"""Locks between processes: files that the system unlocks when their holder ends, however it ends.

The operating system releases a lock (flock) when its holder ends, so a killed process blocks nobody. Current network
file systems (NFS 4, SMB 3) honour locks between machines; a file system without locks raises LocksUnsupportedError.
"""

import contextlib
import errno
import fcntl
import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path

UNKNOWN = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)

SECONDS_BETWEEN_TRIES = 0.2

LONGEST_NOTE = 4096

_held: dict[Path, int] = {}
"""The locks of this process, and their descriptors."""


class LockHeldError(Exception):
    """Another process holds the lock; the message says which."""


class LocksUnsupportedError(Exception):
    """The file system has no locks."""


@contextlib.contextmanager
def holding(path: Path, patience: float, tell: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock `path` for the block, and note in it who does. If it is held, `tell` by whom, and wait.

    Its folder is made, again if its holder has removed it.

    The file is removed afterwards: whoever waits for it sees that and makes a new one.
    Raises LockHeldError if it is still held after `patience` seconds, LocksUnsupportedError or OSError.
    """
    descriptor = take_with_timeout(path, patience, tell)
    try:
        with contextlib.suppress(OSError):  # it is another user's
            os.fchmod(descriptor, 0o666)  # whatever the umask, or a killed command would block all other users
        _note_holder(descriptor)
        _held[path] = descriptor
        yield
    finally:
        _held.pop(path, None)
        release(descriptor, path)


def is_lost(path: Path) -> bool:
    """Whether a lock that this process holds is not there any more: who removed it let another command in."""
    return path in _held and not _is_at(_held[path], path)


def take(path: Path) -> int:
    """Open the file, made if need be, and lock it. `release` it with the descriptor, or close that.

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
            if error.errno in UNKNOWN:
                raise LocksUnsupportedError from None
            raise
        os.close(descriptor)  # between the two it was removed, or given another name


def release(descriptor: int, path: Path) -> None:
    """Unlock the file, and remove it if it is still there."""
    with contextlib.suppress(OSError):  # it may not be removed any more: no matter
        if _is_at(descriptor, path):
            path.unlink()
    os.close(descriptor)


def take_with_timeout(path: Path, patience: float, tell: Callable[[str], None] = lambda holder: None) -> int:
    """`take`, but if it is held `tell` by whom, and wait up to `patience` seconds."""
    deadline = time.monotonic() + patience
    told = False
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return take(path)
        except FileNotFoundError:  # the holder has removed the folder, which was empty again
            continue
        except LockHeldError as held:
            left = deadline - time.monotonic()
            if left <= 0:
                raise
            if not told:
                tell(str(held))
                told = True
        time.sleep(min(left, SECONDS_BETWEEN_TRIES))


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except PermissionError:
        if not path.exists():
            raise
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)  # it was left by another user's killed command


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is the one at `path`."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False


def _note_holder(descriptor: int) -> None:
    holder = f"process {os.getpid()} on {platform.node()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}"
    with contextlib.suppress(OSError):  # the disk may be full: the lock is held all the same
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, holder.encode(), 0)


def _noted_holder(descriptor: int) -> str:
    noted = os.pread(descriptor, LONGEST_NOTE, 0).decode(errors="replace")
    return noted if noted.isprintable() and noted else "another process"
