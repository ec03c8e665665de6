"""The result of listing an image root: its images, and what else is there."""

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

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
