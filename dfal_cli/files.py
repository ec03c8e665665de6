"""Whole files or none: atomic writing, locks, and fingerprints that tell when an output is up to date."""

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dfal_cli.errors import TryAgainError, UsageError


def must_exist(path: Path, option: str, *, folder: bool = False) -> Path:
    """Return `path`, or raise UsageError naming the option that asked for it."""
    if not path.exists():
        raise UsageError(f"{path}: no such {'folder' if folder else 'file'} ({option})")
    if path.is_dir() != folder:
        raise UsageError(f"{path}: is {'not a folder' if folder else 'a folder, not a file'} ({option})")
    return path


def must_be_regular(path: Path, option: str) -> Path:
    """Return `path`, or raise UsageError: of a pipe or a device nobody knows when it ends."""
    if not must_exist(path, option).is_file():
        raise UsageError(f"{path}: is a pipe, a socket or a device, not a file ({option})")
    return path


def must_end_with(path: Path, suffixes: tuple[str, ...], option: str) -> Path:
    """Return `path`, or raise UsageError: a file's suffix tells its format, so a wrong one is a slip."""
    if path.suffix.lower() not in suffixes:
        raise UsageError(f"{path}: {option} must end in {' or '.join(suffixes)}")
    return path


def beside(path: Path, ending: str) -> Path:
    """The companion of an output: `<out><ending>`."""
    return path.with_name(path.name + ending)


@contextlib.contextmanager
def atomic_output(path: Path) -> Iterator[Path]:
    """Yield a temporary neighbour of `path`, which takes its place when the block ends well and is on the disk.

    Any moment of a crash leaves either the old file or the new one.
    """
    path = path.resolve()  # a link stays one
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(_temporary_name(path.name, os.getpid()))
    try:
        yield temporary
        if path.exists():
            shutil.copymode(path, temporary)
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
        _fsync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the right to write `path`; remove what a killed command left of it. Raises TryAgainError if held.

    Raises UsageError if nothing can be written there.
    """
    from filelock import FileLock, Timeout

    path = path.resolve()
    file = path.with_name(f".{path.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file.touch()  # the lock itself would take a place that cannot be written for one that is taken
    except (PermissionError, NotADirectoryError, FileExistsError, FileNotFoundError) as error:
        raise UsageError(f"{path}: cannot be written there: {error.strerror}") from None
    lock = FileLock(file, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise TryAgainError(f"{path}: another dfal command is writing it; try again when that has ended") from None
    try:
        for leftover in path.parent.glob(_temporary_name(_glob_escape(path.name), "*")):
            leftover.unlink(missing_ok=True)
        yield
    finally:
        lock.release()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's contents, as `sha256sum` prints it."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_if_there(path: Path) -> str:
    """The same of a file that may be missing, be none, or not for us to read: "" then."""
    try:
        return sha256_of(path) if is_file(path) else ""
    except OSError:
        return ""


def is_file(path: Path) -> bool:
    """`path.is_file()`, and False if nobody can tell: the name is too long, or its folder is not for us to enter."""
    try:
        return path.is_file()
    except OSError:
        return False


def stat_if_there(path: str) -> tuple[int, int] | None:
    """Size and modification time: enough to see that one of very many files has changed. None if it is missing."""
    try:
        status = os.stat(path)  # noqa: PTH116 - of a plain path, as there may be a hundred thousand
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


def fingerprint(*parts: Any) -> str:
    """SHA-256 of what an output is made from; equal fingerprints mean the output is up to date."""
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()


def digest_of_many(values: Iterable[tuple[object, ...]]) -> str:
    """SHA-256 of very many values, of which no two have the same text, without holding them all."""
    digest = hashlib.sha256()
    for value in values:
        digest.update(f"{value!r}\n".encode())
    return digest.hexdigest()


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no blanks, so that equal values are equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)


def settings_of(options: Any, without: Iterable[str]) -> dict[str, Any]:
    """The fields of an options dataclass that shape the output; `without` are those that only say how to get there."""
    settings = dataclasses.asdict(options)
    return {name: value for name, value in settings.items() if name not in set(without)}


def relative_to_file(target: Path, file: Path) -> str:
    """`target` as a POSIX path relative to the folder of `file`, as twin paths are written."""
    return Path(os.path.relpath(target.absolute(), file.absolute().parent)).as_posix()


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, tuple | set):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no canonical JSON")


def _temporary_name(name: str, owner: int | str) -> str:
    return f".{name}.{owner}.tmp"


def _glob_escape(name: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in name)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
