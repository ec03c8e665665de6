"""Whole files or none: atomic writing, and locks."""

import contextlib
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

LOOKED_AT_FOR = 1.0
"""Seconds for which a temporary file may be held by a command that looks whether it is a leftover: it is a moment."""

TEMPORARY = re.compile(r"\.(?P<name>.+)\.\d+\.tmp", re.DOTALL)
"""What outputs are called while they are written: `.NAME.PID.tmp`, in the same folder."""

LONGEST_AFFIX = len("..labelled.parquet.4194304.tmp")
"""Bytes that the longest name made from an output's has more than it."""


def beside(path: Path, ending: str) -> Path:
    """The companion of an output: `<out><ending>`."""
    return path.with_name(path.name + ending)


@contextlib.contextmanager
def atomic_output(path: Path, check: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """Yield a temporary neighbour of `path`, which takes its place when the block ends well and is on the disk.

    Any moment of a crash leaves either the old file or the new one, with its owner and mode. `check` is called at the
    last moment, and may raise. An OSError of the block names `path`.
    Raises TryAgainError if `path` was locked, and somebody has removed the lock and another command come in.
    """
    path = path.resolve()  # a link stays one
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with _held(temporary):
            yield temporary
            if path.exists():
                _copy_owner(path, temporary)
                shutil.copymode(path, temporary)
            _fsync(temporary)
            _check_lock(path)
            check()
            temporary.replace(path)
            _fsync(path.parent)
    except OSError as error:
        if error.filename in (None, str(temporary)):
            error.filename = str(path)
        raise


@contextlib.contextmanager
def locked(
    path: Path, wait: float = 0.0, tell: Callable[[str], None] = lambda text: None, *, folder: bool = False
) -> Iterator[None]:
    """Hold the right to write `path`; remove what killed commands left of it and of its companions.

    Its folder is made, and removed if it is empty at the end.

    If another process holds it, say so and wait up to `wait` seconds. Raises TryAgainError if it does so still,
    UsageError if nothing can be written there, or what is there is not to be.
    """
    path = Path(os.path.realpath(path))  # Path.resolve() fails on links in a circle
    if not path.name or path.is_symlink():
        raise UsageError(
            f"{path}: {'leads in a circle' if path.name else 'is the root of the file system'}; choose another place"
        )
    if path.exists() and not (path.is_dir() if folder else path.is_file()):
        raise UsageError(f"{path}: is there and not a {'folder' if folder else 'file'}; choose another place")
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
                f"{path}: is being written by {holder}; run the same command again, or give it --wait SECONDS"
            ) from None
        except LocksUnsupportedError:
            tell(f"{path}: its file system knows no locks: let no other dfal command write it meanwhile")
        except OSError as error:
            if is_transient(error):
                raise
            if os.path.lexists(file):
                raise UsageError(
                    f"{file}: the lock of {path.name} cannot be opened: {error.strerror}; "
                    "remove it if no dfal command is writing there"
                ) from None
            raise UsageError(f"{path}: cannot be written there: {error.strerror}") from None
        if path.exists() and not os.access(path, os.W_OK):  # a file can be replaced, but that would not be asked for
            raise UsageError(f"{path}: may not be written; allow it (chmod), or choose another place")
        own = (f"{path.name}.", f".{path.name}.")  # itself and what stands beside it, hidden or not
        remove_leftovers(path.parent, lambda name: f"{name}.".startswith(own))
        yield


def remove_leftovers(folder: Path, belongs: Callable[[str], bool]) -> None:
    """Remove the temporary files of killed commands in the folder, of outputs whose name `belongs`.

    A running command holds its own, whatever its machine.
    """
    with os.scandir(folder) as entries:
        found = [folder / entry.name for entry in entries if _is_temporary(entry.name, belongs)]
    for file in found:
        with contextlib.suppress(LockHeldError, LocksUnsupportedError, OSError):
            release(take(file), file)


def is_file(path: Path) -> bool:
    """`path.is_file()`, and False if nobody can tell: the name is too long, or its folder is not for us to enter."""
    try:
        return path.is_file()
    except OSError:
        return False


def _lock_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def _check_lock(path: Path) -> None:
    """Raises TryAgainError if another command has written the output of this one, or is about to.

    Where only the folder was removed, the work of hours is not.
    """
    lock = _lock_of(path)
    if is_lost(lock) and (lock.exists() or path.exists()):
        raise TryAgainError(
            f"{path}: its folder was removed meanwhile, and another command writes there; run the same command again"
        )


def _copy_owner(path: Path, temporary: Path) -> None:
    """As far as that is possible: root may give a file to anybody, others to a group of theirs."""
    status = path.stat()
    for owner, group in ((status.st_uid, status.st_gid), (-1, status.st_gid)):
        with contextlib.suppress(OSError):  # file systems without owners say it in several ways
            os.chown(temporary, owner, group)
            return


def _remove_empty(folders: Iterable[Path]) -> None:
    """Remove those, innermost first, into which nothing has come after all."""
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _check_length(path: Path, folder: Path) -> None:
    """Raises UsageError if there is no room in the name: it would come out at the end of the work only.

    `folder` is on its file system.
    """
    most = os.pathconf(folder, "PC_NAME_MAX")
    if 0 < most < len(os.fsencode(path.name)) + LONGEST_AFFIX:
        raise UsageError(f"{path}: the name is too long; choose one of at most {most - LONGEST_AFFIX} bytes")


@contextlib.contextmanager
def _held(temporary: Path) -> Iterator[None]:
    """Make the file and hold it, so that no other command takes it for a leftover; it is removed if still there."""
    try:
        descriptor = take_with_timeout(temporary, LOOKED_AT_FOR)
    except LockHeldError:  # a process of the same number on another machine
        raise TryAgainError(f"{temporary}: another process is writing it; try again when that has ended") from None
    except LocksUnsupportedError:
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        yield
    finally:
        release(descriptor, temporary)


def _is_temporary(name: str, belongs: Callable[[str], bool]) -> bool:
    match = TEMPORARY.fullmatch(name)
    return match is not None and belongs(match["name"])


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
