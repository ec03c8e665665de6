"""Paths that stand in a file are relative to the folder in which the file really is."""

import os
from pathlib import Path


def folder_of(file: Path) -> Path:
    """The folder in which a file really is, whatever links lead there: from it the paths in it go."""
    return Path(os.path.realpath(file)).parent


def relative_to_file(target: Path, file: Path) -> str:
    """`target` as a POSIX path relative to the folder of `file`, as twin paths are written."""
    place = Path(os.path.realpath(target.parent), target.name)
    return Path(os.path.relpath(place, folder_of(file))).as_posix()
