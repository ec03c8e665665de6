"""Atomic writing of files, and locks on outputs."""

import contextlib
import errno
import itertools
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from dfal_cli.errors import TryAgainError, UsageError, is_transient
from dfal_cli.system.locks import (
    LockHeldError,
    LocksUnsupportedError,
    holding,
    is_lost,
    release,
    take,
    take_with_timeout,
)

LEFTOVER_CHECK_SECONDS = 1.0
"""Timeout for a lock that another command holds only to check whether a temporary file is a leftover."""

TEMPORARY = re.compile(r"\.(?P<name>.+)\.\d+\.tmp", re.DOTALL)
"""Names of outputs while they are written: `.NAME.PID.tmp`, in the same folder."""

MAX_AFFIX_BYTES = len("..labelled.parquet.4194304.tmp")
"""Bytes that the longest file name derived from an output's name adds to it."""


def beside(path: Path, ending: str) -> Path:
    """Return the path of an output's companion file: `<out><ending>`."""
    return path.with_name(path.name + ending)


@contextlib.contextmanager
def atomic_output(path: Path, check: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """Yield a temporary file beside `path`; it is synced and replaces `path` when the block ends without an error.

    A crash at any time leaves either the old or the new file. The new file gets the owner and mode of the old one.
    `check` is called just before the replacement and may raise. An OSError in the block gets the file name `path`.
    Raises TryAgainError if the lock of `path` was removed meanwhile and another command took it.
    """
    path = path.resolve()  # a symbolic link is kept; its target is replaced
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary_file(path) as temporary:
            yield temporary
            if path.exists():
                _copy_owner(path, temporary)
                shutil.copymode(path, temporary)
            sync(temporary)
            _check_lock(path)
            check()
            temporary.replace(path)
            sync(path.parent)
    except OSError as error:
        if error.filename in (None, str(_temporary_of(path))):
            error.filename = str(path)
        raise


@contextlib.contextmanager
def temporary_file(path: Path) -> Iterator[Path]:
    """Yield a file beside `path`, which is removed at the end of the block, or by the next command after a kill."""
    temporary = _temporary_of(path)
    with _held(temporary):
        yield temporary


@contextlib.contextmanager
def locked(
    path: Path, wait: float = 0.0, tell: Callable[[str], None] = lambda text: None, *, folder: bool = False,
    may_be_complete: bool = False,
) -> Iterator[None]:  # fmt: skip
    """Hold the lock for writing `path`, and remove temporary files that killed commands left of it and its companions.

    The folder of `path` is created, and removed again if it is empty at the end.

    may_be_complete: do not fail yet if `path` exists on a read-only disk, where it needs no lock: it may be up to date.
    Otherwise the caller calls `check_writable` before it computes anything.

    If another process holds the lock, tell so and wait up to `wait` seconds. Raises TryAgainError if it is still held
    then, UsageError if `path` cannot or must not be written.
    """
    path = Path(os.path.realpath(path))  # Path.resolve() fails on links in a circle
    _check_writable_place(path, folder=folder)
    missing = list(itertools.takewhile(lambda folder: not folder.exists(), path.parents))
    _check_length(path, path.parents[len(missing)])
    file = _lock_of(path)
    with contextlib.ExitStack() as lock:
        lock.callback(_remove_empty, missing)
        try:
            lock.enter_context(
                holding(
                    file, wait,
                    lambda holder: tell(f"{path}: is being written by {holder}; waiting up to {wait:g} s"),
                )
            )  # fmt: skip
        except LockHeldError as holder:
            raise TryAgainError(
                f"{path}: is being written by {holder}; run the same command again, or use --wait SECONDS"
            ) from None
        except LocksUnsupportedError:
            tell(f"{path}: its file system has no locks; do not let another dfal command write it at the same time")
        except OSError as error:
            if is_transient(error):
                raise
            if error.errno == errno.EROFS and may_be_complete and path.exists():
                yield
                return
            raise _unusable_lock(path, file, error) from None
        if path.exists() and not os.access(path, os.W_OK):  # replacing the file would circumvent its permissions
            raise UsageError(f"{path}: is not writable; change its permissions (chmod), or choose another path")
        own = (f"{path.name}.", f".{path.name}.")  # the output and its companions, hidden or not
        remove_leftovers(path.parent, lambda name: f"{name}.".startswith(own))
        yield


def check_writable(path: Path) -> None:
    """Raise UsageError if an existing file is on a read-only disk."""
    if path.exists() and os.statvfs(path).f_flag & os.ST_RDONLY:
        raise UsageError(f"{path}: cannot be written: {os.strerror(errno.EROFS)}")


def _check_writable_place(path: Path, *, folder: bool) -> None:
    """Raise UsageError if no file (or folder) can be at `path`."""
    if not path.name:
        raise UsageError(f"{path}: is the root of the file system; choose another path")
    if path.is_symlink():  # after realpath, only a loop is still a link
        raise UsageError(f"{path}: is a loop of symbolic links; choose another path")
    if path.exists() and not (path.is_dir() if folder else path.is_file()):
        raise UsageError(f"{path}: exists and is not a {'folder' if folder else 'file'}; choose another path")


def _unusable_lock(path: Path, lock: Path, error: OSError) -> UsageError:
    if os.path.lexists(lock):
        return UsageError(
            f"{lock}: the lock of {path.name} cannot be opened: {error.strerror}; "
            "remove it if no dfal command is writing there"
        )
    return UsageError(f"{path}: cannot be written: {error.strerror}")


def remove_leftovers(folder: Path, belongs: Callable[[str], bool]) -> None:
    """Remove the temporary files that killed commands left in the folder, for outputs whose name `belongs` accepts.

    A running command holds locks on its temporary files, so they stay, even if it runs on another machine.
    """
    with os.scandir(folder) as entries:
        found = [folder / entry.name for entry in entries if _is_temporary(entry.name, belongs)]
    for file in found:
        with contextlib.suppress(LockHeldError, LocksUnsupportedError, OSError):
            release(take(file), file)


def is_file(path: Path) -> bool:
    """Return `path.is_file()`, or False if the name is too long or its folder is not accessible."""
    try:
        return path.is_file()
    except OSError:
        return False


def _temporary_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _lock_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def _check_lock(path: Path) -> None:
    """Raise TryAgainError if another command has written the output of this one, or is about to.

    If only the folder was removed, the output is still written: it may be the work of hours.
    """
    lock = _lock_of(path)
    if is_lost(lock) and (lock.exists() or path.exists()):
        raise TryAgainError(
            f"{path}: its folder was removed, and another command is writing there; run the same command again"
        )


def _copy_owner(path: Path, temporary: Path) -> None:
    """Copy owner and group if permitted: root may change both, other users only to a group of their own."""
    status = path.stat()
    for owner, group in ((status.st_uid, status.st_gid), (-1, status.st_gid)):
        with contextlib.suppress(OSError):  # file systems without owners raise various errors
            os.chown(temporary, owner, group)
            return


def _remove_empty(folders: Iterable[Path]) -> None:
    """Remove the folders, innermost first, that are still empty."""
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _check_length(path: Path, folder: Path) -> None:
    """Raise UsageError if the name is too long for temporary files, which would otherwise fail at the end of the work.

    folder: an existing folder on the file system of `path`.
    """
    limit = os.pathconf(folder, "PC_NAME_MAX")
    if 0 < limit < len(os.fsencode(path.name)) + MAX_AFFIX_BYTES:
        raise UsageError(f"{path}: the name is too long; choose one of at most {limit - MAX_AFFIX_BYTES} bytes")


@contextlib.contextmanager
def _held(temporary: Path) -> Iterator[None]:
    """Create and lock a temporary file, so that other commands do not remove it as a leftover; remove it at the end."""
    try:
        descriptor = take_with_timeout(temporary, LEFTOVER_CHECK_SECONDS)
    except LockHeldError:  # a process with the same number on another machine
        raise TryAgainError(f"{temporary}: another process is writing it; try again when it has ended") from None
    except LocksUnsupportedError:
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        yield
    finally:
        release(descriptor, temporary)


def _is_temporary(name: str, belongs: Callable[[str], bool]) -> bool:
    match = TEMPORARY.fullmatch(name)
    return match is not None and belongs(match["name"])


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
