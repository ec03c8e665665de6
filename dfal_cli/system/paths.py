"""Checks of paths before files are opened, and the form of paths inside files.

A path in a file is relative to the folder that contains the file after links are resolved.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from dfal_cli.errors import UsageError

NO_FOLDERS: Mapping[str, Path | None] = MappingProxyType({})


def must_exist(path: Path, option: str, *, folder: bool = False) -> Path:
    """Return `path` if it exists and is a file (or folder), else raise UsageError, which names the option."""
    if not path.exists():
        raise UsageError(f"{path}: no such {'folder' if folder else 'file'} ({option})")
    if path.is_dir() != folder:
        raise UsageError(f"{path}: is {'not a folder' if folder else 'a folder, not a file'} ({option})")
    return path


def must_be_regular(path: Path, option: str) -> Path:
    """Return `path` if it is a regular file, else raise UsageError: pipes and devices may have no end."""
    if not must_exist(path, option).is_file():
        raise UsageError(f"{path}: is a pipe, a socket or a device, not a file ({option})")
    return path


def must_end_with(path: Path, suffixes: tuple[str, ...], option: str) -> Path:
    """Return `path` if it has one of the suffixes, else raise UsageError: the suffix determines the format."""
    if path.suffix.lower() not in suffixes:
        raise UsageError(f"{path}: {option} must end in {' or '.join(suffixes)}")
    return path


def must_be_outside(path: Path, folder: Path, option: str) -> None:
    """Raise UsageError if `path` is in the image folder, where pictures written to it would join the pool."""
    place, root = (Path(os.path.realpath(each)) for each in (path, folder))
    if place.is_relative_to(root):
        raise UsageError(
            f"{path}: is inside {folder} (--images), where its pictures would become images of the pool; "
            f"choose another {option}"
        )


def check_paths(
    inputs: Mapping[str, Iterable[Path | None]],
    outputs: Mapping[str, Iterable[Path | None]],
    folders: Mapping[str, Path | None] = NO_FOLDERS,
    may_be_folder: Callable[[str, Path], bool] = lambda option, folder: False,
) -> None:
    """Raise UsageError if an input is missing, if an output is also an input, or if two outputs are the same file.

    Links are resolved. `inputs` must be files, or folders that `may_be_folder` (option, folder) accepts; `folders` must
    be folders. All mappings are by the option that names the paths. --force does not disable these checks.
    """
    read: dict[str, str] = {}
    for option, folder in folders.items():
        if folder:
            read[os.path.realpath(must_exist(folder, option, folder=True))] = option
    for option, paths in inputs.items():
        for path in filter(None, paths):
            is_folder = path.is_dir() and may_be_folder(option, path)
            read[os.path.realpath(must_exist(path, option, folder=is_folder))] = option
    written: dict[str, str] = {}
    for option, paths in outputs.items():
        for path in filter(None, paths):
            place = os.path.realpath(path)
            if place in read:
                raise UsageError(f"{path}: is an input ({read[place]}); choose another {option}")
            if (other := written.setdefault(place, option)) != option:
                raise UsageError(f"{path}: is named by both {other} and {option}; choose another {option}")


def folder_of(file: Path) -> Path:
    """Return the folder of a file after links are resolved; paths in the file are relative to it."""
    return Path(os.path.realpath(file)).parent


def relative_to_file(target: Path, file: Path) -> str:
    """Return `target` as a POSIX path relative to the folder of `file`, the form of twin paths."""
    place = Path(os.path.realpath(target.parent), target.name)
    return Path(os.path.relpath(place, folder_of(file))).as_posix()


def named_in_file(stored: str, file: Path) -> Path:
    """Return the path that `relative_to_file` returned, when the file that names it may have moved with it."""
    return Path(os.path.normpath(folder_of(file) / stored))
