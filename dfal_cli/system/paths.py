"""Checks of paths before files are opened, and the form of paths inside files.

A path in a file is relative to the folder that contains the file after links are resolved.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from dfal_cli.errors import UsageError
from dfal_cli.system.image_roots import UNPACKED_BY, ImageRoot, Url, image_root, is_image_root

IMAGES = "--images"
NO_FOLDERS: Mapping[str, ImageRoot | None] = MappingProxyType({})


def must_be_image_root(root: ImageRoot) -> ImageRoot:
    """Return the image root if there is one, else raise UsageError, which says how to make one of a compressed tar."""
    if is_image_root(root) or isinstance(root, Url):
        return root
    program = next((UNPACKED_BY[suffix] for suffix in UNPACKED_BY if root.name.lower().endswith(suffix)), None)
    if program and root.is_file():
        raise UsageError(
            f"{root}: is compressed, so that single images cannot be read from it; decompress it with {program}, "
            f"and name the .tar ({IMAGES})"
        )
    return must_exist(root, IMAGES, folder=True)


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


def must_be_outside(path: Path, folder: ImageRoot, option: str) -> None:
    """Raise UsageError if `path` is in the image folder, where pictures written to it would join the pool."""
    if isinstance(folder, Url):
        return
    place, root = (Path(os.path.realpath(each)) for each in (path, folder))
    if place.is_relative_to(root):
        raise UsageError(
            f"{path}: is inside {folder} (--images), where its pictures would become images of the pool; "
            f"choose another {option}"
        )


def check_paths(
    inputs: Mapping[str, Iterable[Path | None]],
    outputs: Mapping[str, Iterable[Path | None]],
    folders: Mapping[str, ImageRoot | None] = NO_FOLDERS,
    may_be_folder: Callable[[str, Path], bool] = lambda option, folder: False,
) -> None:
    """Raise UsageError if an input is missing, if an output is also an input, or if two outputs are the same file.

    Links are resolved. `inputs` must be files, or folders that `may_be_folder` (option, folder) accepts; `folders` must
    be folders, or an image root for --images. All mappings are by the option that names the paths. --force does not
    disable these checks.
    """
    read: dict[str, str] = {}
    for option, folder in folders.items():
        if option == IMAGES and folder:
            must_be_image_root(folder)
        elif isinstance(folder, Path):
            must_exist(folder, option, folder=True)
        if isinstance(folder, Path):
            read[os.path.realpath(folder)] = option
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


def relative_to_file(target: ImageRoot, file: Path) -> str:
    """Return `target` as a POSIX path relative to the folder of `file`, the form of twin paths; a URL unchanged."""
    if isinstance(target, Url):
        return target
    place = Path(os.path.realpath(target.parent), target.name)
    return Path(os.path.relpath(place, folder_of(file))).as_posix()


def named_in_file(stored: str, file: Path) -> Path:
    """Return the path that `relative_to_file` returned, when the file that names it may have moved with it."""
    return Path(os.path.normpath(folder_of(file) / stored))


def root_named_in_file(stored: str, file: Path) -> ImageRoot:
    """Return the image root that `relative_to_file` returned, as `named_in_file`."""
    root = image_root(stored)
    return root if isinstance(root, Url) else named_in_file(stored, file)
