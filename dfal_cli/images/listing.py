"""The result of listing an image root: its images, and what else is there."""

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from dfal_cli.images.formats import readable_suffixes, suffix_of, suffixes_not_read
from dfal_cli.system.folders import is_hidden

OUTSIDE_PATH = "leaves the image root; use paths without .."
NOT_UTF8 = "its name is not UTF-8; rename it"


@dataclass
class Skipped:
    """Files under an image root that are not images, but may have been meant as such."""

    hidden: int = 0
    """Number of hidden folders, and of hidden files with an image suffix."""
    others: Counter[str] = field(default_factory=Counter)
    """Number of files in unsupported image formats, by suffix; "" for files without one."""


class Listing(NamedTuple):
    """The files under an image root."""

    images: list[str]
    """POSIX paths relative to the root, sorted. Each is a regular file, or a link to one under the root."""
    unreadable: list[tuple[str, str]]
    """Path and reason of each file with an image suffix that is not an image or cannot be reached; sorted."""
    skipped: Skipped


def is_text(path: str) -> bool:
    """Return whether a path is UTF-8, so that it can be stored in a table."""
    return as_text(path) == path


def as_text(name: str) -> str:
    r"""Return a path with its bytes that are not UTF-8 as \x..."""
    return os.fsencode(name).decode(errors="backslashreplace")


def leads_up(image: str) -> bool:
    """Return whether the path of an image leaves the image root."""
    return image.startswith("/") or ".." in image.split("/")


def is_image(name: str, skipped: Skipped) -> bool:
    """Return whether a packed file is an image by its path; count it in `skipped` if it may have been meant as one."""
    suffix = suffix_of(name.rpartition("/")[2])
    is_wanted = suffix in readable_suffixes()
    if not leads_up(name) and any(map(is_hidden, name.split("/"))):
        skipped.hidden += is_wanted
        return False
    if not is_wanted and suffix in suffixes_not_read():
        skipped.others[suffix] += 1
    return is_wanted


def problem_of(name: str) -> str:
    """Return the reason why no table can refer to a packed file by its path; "" if one can."""
    return OUTSIDE_PATH if leads_up(name) else "" if is_text(name) else NOT_UTF8
