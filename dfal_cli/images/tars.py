"""Images in a tar, which is read like a folder: by an index of its members, without unpacking it.

The index is made when a tar is first used, and kept in memory until the tar changes. Tars are untrusted: what cannot be
read, or must not be, is listed with the reason.
"""

import bisect
import io
import os
import re
import threading
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import numpy.typing as npt

from dfal_cli.errors import TryAgainError
from dfal_cli.images.listing import Listing, Skipped, as_text, is_image
from dfal_cli.images.tar_members import Found, members
from dfal_cli.system.fingerprints import FileState, file_state
from dfal_cli.system.image_roots import TAR

IN_TAR = re.compile(rf"{re.escape(TAR)}(?=/)", re.IGNORECASE | re.ASCII)


class Index(NamedTuple):
    """The images in a tar."""

    state: FileState
    """That of the tar."""
    listing: Listing
    offsets: npt.NDArray[np.int64]
    """(n,): where the data of each image of the listing begin."""
    sizes: npt.NDArray[np.int64]
    """(n,)"""

    def row_of(self, image: str) -> int | None:
        """Return the row of an image; None if there is none of that name."""
        images = self.listing.images
        row = bisect.bisect_left(images, image)
        return row if row < len(images) and images[row] == image else None


class Member(NamedTuple):
    """An image in a tar. It is a `PackedFile`."""

    tar: str
    name: str

    def __str__(self) -> str:
        return f"{self.tar}/{self.name}"

    def state(self) -> FileState | None:
        """Return the size, and time and place in the tar: if the tar changes, all of its images count as changed."""
        try:
            index = index_of(self.tar)
        except OSError:
            return None
        row = index.row_of(self.name)
        if row is None:
            return None
        offset = int(index.offsets[row])
        return FileState(int(index.sizes[row]), index.state.modified, offset, index.state.changed)

    def open(self) -> IO[bytes]:
        """Open the image. Raises FileNotFoundError, and TryAgainError if the tar has just been replaced."""
        index = index_of(self.tar)
        row = index.row_of(self.name)
        if row is None:
            raise FileNotFoundError(self.name)
        descriptor = os.open(self.tar, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        section = _Section(descriptor, int(index.offsets[row]), int(index.sizes[row]))
        if file_state(descriptor) != index.state:
            section.close()
            raise TryAgainError(f"{self.tar}: has just been replaced; run the same command again")
        return io.BufferedReader(section)


class _Section(io.RawIOBase):
    """A part of a file, read by position, so that it shares nothing with other parts of the same file."""

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        self._descriptor, self._start, self._size, self._place = descriptor, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._place = max(0, offset + (0, self._place, self._size)[whence])
        return self._place

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        wanted = min(len(buffer), max(0, self._size - self._place))
        found = os.pread(self._descriptor, wanted, self._start + self._place)
        buffer[: len(found)] = found
        self._place += len(found)
        return len(found)

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


def member_of(path: str) -> Member | None:
    """Return the member that a path leads to if one of its folders is a tar; None for all other paths."""
    for found in IN_TAR.finditer(path):
        tar = path[: found.end()]
        if os.path.isfile(tar):  # noqa: PTH113 - a str is faster, and there may be a million
            return Member(tar, path[len(tar) + 1 :])
    return None


_indexes: dict[str, Index] = {}
_indexing = threading.Lock()


def index_of(tar: str) -> Index:
    """Return the index of a tar. Raises OSError if the tar is missing or cannot be read."""
    state = file_state(tar)
    if state is None:
        raise FileNotFoundError(tar)
    index = _indexes.get(tar)
    if index is None or index.state != state:
        with _indexing:
            index = _indexes.get(tar)
            if index is None or index.state != state:
                index = _indexes[tar] = _read_index(tar, state)
    return index


def _read_index(tar: str, state: FileState) -> Index:
    """Read the headers of all members. If several have one name, the last one counts, as for tar. Raises OSError."""
    found: dict[str, Found] = {}
    skipped = Skipped()
    lost = []
    for member in members(tar):
        if not member.name:
            lost.append(("", member.problem))
        elif is_image(member.name, skipped):
            found[member.name] = member
    unreadable = [(as_text(name), member.problem) for name, member in found.items() if member.problem]
    whole = sorted(member for member in found.values() if not member.problem)
    offsets, sizes = np.array([member[1:3] for member in whole], np.int64).reshape(-1, 2).T.copy()
    return Index(state, Listing([member.name for member in whole], sorted(unreadable + lost), skipped), offsets, sizes)


def list_tar(tar: str, prefix: str, found: Listing) -> None:
    """Add the images in a tar to `found`, with a prefix to their names."""
    try:
        listing = index_of(tar).listing
    except OSError as error:
        found.unreadable.append((as_text(prefix or Path(tar).name), str(error.strerror)))
        return
    found.images.extend([prefix + name for name in listing.images] if prefix else listing.images)
    found.unreadable.extend((prefix + name or Path(tar).name, problem) for name, problem in listing.unreadable)
    found.skipped.hidden += listing.skipped.hidden
    found.skipped.others.update(listing.skipped.others)
