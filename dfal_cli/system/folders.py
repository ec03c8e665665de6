"""Atomic writing of folders."""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from dfal_cli.system.files import sync
from dfal_cli.system.fingerprints import digest_of_many


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; it is synced and replaces `path` when the block ends without an error.

    The caller holds the lock of `path`. What killed commands left beside it is removed. A crash leaves the old folder,
    the new one, or, in the instant between two renames, the old one under a temporary name.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(f".{_literal(path.name)}.*.tmp"):
        _remove(leftover)
    temporary, before = (path.with_name(f".{path.name}.{kind}.{os.getpid()}.tmp") for kind in ("new", "old"))
    try:
        temporary.mkdir()
        yield temporary
        _sync(temporary)
        _replace(path, temporary, before)
        sync(path.parent)
    finally:
        _remove(temporary)
        _remove(before)


def _replace(path: Path, new: Path, before: Path) -> None:
    """Rename `path`, if it exists, to `before` and `new` to `path`; undo the first if the second fails."""
    if path.exists():
        path.rename(before)
    try:
        new.rename(path)
    except BaseException:
        if before.exists():
            before.rename(path)
        raise


def listing_digest(folder: Path, *, without: Iterable[str] = ()) -> str:
    """Return a digest of the names, sizes and times of all files in a folder; links are not followed.

    Files that systems put into every folder that somebody looks at are left out.
    """
    left_out = set(without)
    states = [
        (path.relative_to(folder).as_posix(), path.lstat())
        for path in folder.rglob("*")
        if not _is_dir(path) and path.name not in PUT_BY_SYSTEMS
    ]
    return digest_of_many(
        sorted((name, state.st_size, state.st_mtime_ns) for name, state in states if name not in left_out)
    )


def _literal(name: str) -> str:
    """Return a glob pattern that matches only this name."""
    return "".join(f"[{one}]" if one in "*?[" else one for one in name)


def _is_dir(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _remove(folder: Path) -> None:
    if _is_dir(folder):
        shutil.rmtree(folder, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Sync all files and folders in a folder to disk."""
    for place, _, names in os.walk(folder):
        for name in names:
            _sync_unless_link(Path(place, name))
        sync(Path(place))


def _sync_unless_link(path: Path) -> None:
    if not path.is_symlink():
        sync(path)


PUT_BY_SYSTEMS = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""Files that macOS and Windows put into folders that somebody looks at."""

HIDDEN = PUT_BY_SYSTEMS | {"__MACOSX", "@eaDir"}
"""What systems, archives and network disks put into folders; it counts as hidden, like names with a leading dot."""


def is_hidden(name: str) -> bool:
    """Return whether files and folders with this name are ignored: nobody put them there to be read."""
    return name.startswith(".") or name in HIDDEN


NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})
"""Errors of a file system that has no symbolic links."""

Put = Callable[[Path, Path], None]
"""Makes an image appear at a path: (image, path). The folder of the path is made."""


def link(image: Path, path: Path) -> None:
    """Make a symbolic link to an image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(image)


def copy(image: Path, path: Path) -> None:
    """Copy an image with its time of modification."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(image, path)


def link_or_copy(image: Path, path: Path) -> None:
    """Make a symbolic link to an image, or copy it where the file system has no links."""
    try:
        link(image, path)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        copy(image, path)
