"""Paths: what is refused before a file is opened, and how a path stands in a file.

A path in a file is relative to the folder in which that file really is.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from dfal_cli.errors import UsageError

NO_FOLDERS: Mapping[str, Path | None] = MappingProxyType({})


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


def must_be_outside(path: Path, folder: Path, option: str) -> None:
    """Raises UsageError if pictures that are written to `path` would become images of the pool in `folder`."""
    place, root = (Path(os.path.realpath(each)) for each in (path, folder))
    if place.is_relative_to(root):
        raise UsageError(
            f"{path}: lies in {folder} (--images), where its pictures would become images of the pool; "
            f"choose another {option}"
        )


def check_paths(
    inputs: Mapping[str, Iterable[Path | None]],
    outputs: Mapping[str, Iterable[Path | None]],
    folders: Mapping[str, Path | None] = NO_FOLDERS,
) -> None:
    """Raises UsageError if an input is missing or is no file (one of `folders`: no folder), or is an output too.

    So it does if two outputs are one, whatever links lead there. All stand under the option that names them. --force
    is no leave.
    """
    read: dict[str, str] = {}
    for option, folder in folders.items():
        if folder:
            read[os.path.realpath(must_exist(folder, option, folder=True))] = option
    for option, paths in inputs.items():
        for path in filter(None, paths):
            read[os.path.realpath(must_exist(path, option))] = option
    written: dict[str, str] = {}
    for option, paths in outputs.items():
        for path in filter(None, paths):
            place = os.path.realpath(path)
            if place in read:
                raise UsageError(
                    f"{path}: is read ({read[place]}), so {option} may not write it; choose another {option}"
                )
            if (other := written.setdefault(place, option)) != option:
                raise UsageError(f"{path}: is what {other} and {option} both name; choose another {option}")


def folder_of(file: Path) -> Path:
    """The folder in which a file really is, whatever links lead there: from it the paths in it go."""
    return Path(os.path.realpath(file)).parent


def relative_to_file(target: Path, file: Path) -> str:
    """`target` as a POSIX path relative to the folder of `file`, as twin paths are written."""
    place = Path(os.path.realpath(target.parent), target.name)
    return Path(os.path.relpath(place, folder_of(file))).as_posix()
