"""Images in a tar, which is read like a folder: by an index of its members, without unpacking it.

The index is made when a tar is first used, and kept in memory until the tar changes. Tars are untrusted: what cannot be
read, or must not be, is listed with the reason.
"""

import bisect
import io
import os
import re
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

import numpy as np
import numpy.typing as npt

from dfal_cli.errors import TryAgainError
from dfal_cli.images.listing import Listing, Skipped, as_text, is_image, problem_of
from dfal_cli.system.fingerprints import FileState, file_state
from dfal_cli.system.image_roots import TAR

MOST_HEADER_BYTES = 1_000_000
"""Maximum size of the header of a member, which `tarfile` reads into memory: a few bytes can claim to be gigabytes."""

ENDS_EARLY = "the tar ends here: it is truncated, or still being written; copy it again"
DAMAGED = "the tar is damaged here, and its other members cannot be found"

IN_TAR = re.compile(rf"{re.escape(TAR)}(?=/)", re.IGNORECASE | re.ASCII)

KINDS = {
    tarfile.SYMTYPE: "a link", tarfile.LNKTYPE: "a link", tarfile.CHRTYPE: "a device", tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a FIFO", tarfile.GNUTYPE_SPARSE: "a sparse file",
}  # fmt: skip
"""Types of members that are not read."""


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


class _Headers(io.FileIO):
    """A tar whose headers have a limited size."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= MOST_HEADER_BYTES:
            raise tarfile.ReadError("a header is too large")
        return super().read(size)


def _read_index(tar: str, state: FileState) -> Index:
    """Read the headers of all members. If several have one name, the last one counts, as for tar. Raises OSError."""
    found: dict[str, tuple[int, int] | str] = {}
    skipped = Skipped()
    unreadable: list[tuple[str, str]] = []
    with _Headers(os.open(tar, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)) as file:
        for member, problem in _members(file, state.size):
            if member is None:
                unreadable.append(("", problem))
                break
            if member.isdir():
                continue
            name = _normalised(member.name)
            if is_image(name, skipped):
                found[name] = problem or _problem_of(member, name) or (member.offset_data, member.size)
    unreadable += [(as_text(name), place) for name, place in found.items() if isinstance(place, str)]
    places = sorted((name, *place) for name, place in found.items() if not isinstance(place, str))
    names = [name for name, _, _ in places]
    numbers = np.array([place[1:] for place in places], np.int64).reshape(-1, 2)
    offsets, sizes = (np.ascontiguousarray(column) for column in numbers.T)
    return Index(state, Listing(names, sorted(unreadable), skipped), offsets, sizes)


def _members(file: _Headers, size: int) -> Iterator[tuple[tarfile.TarInfo | None, str]]:
    """Yield the members, with a reason if their data are not all there; at last None and a reason if members are lost.

    size: that of the tar.
    """
    try:
        with tarfile.open(fileobj=file, mode="r:", errors="surrogateescape") as tar:
            place = -1
            while (member := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # it would keep all of them
                if tar.offset <= place or member.size < 0:
                    yield None, DAMAGED
                    return
                place = tar.offset
                yield member, ENDS_EARLY if member.isreg() and member.offset_data + member.size > size else ""
            file.seek(tar.offset)
            end = file.read(tarfile.BLOCKSIZE)
    except OSError as error:
        yield None, error.strerror or str(error)
        return
    except Exception:  # tarfile raises its own errors, and almost anything else for a damaged header
        yield None, ENDS_EARLY if file.tell() >= size else DAMAGED
        return
    if len(end) < tarfile.BLOCKSIZE:
        yield None, ENDS_EARLY
    elif any(end):
        yield None, DAMAGED


def _normalised(name: str) -> str:
    """Return the name of a member without the ./ that tars of the working directory have."""
    return PurePosixPath(name).as_posix() if name.startswith("./") or "//" in name or "/./" in name else name


def _problem_of(member: tarfile.TarInfo, name: str) -> str:
    """Return the reason why a member with the suffix of an image cannot be read; "" if it can."""
    if problem := problem_of(name):
        return problem
    if not member.isreg() or member.issparse():
        kind = "a sparse file" if member.issparse() else KINDS.get(member.type, "of an unknown type")
        return f"{kind} in a tar; store the image itself in it"
    return ""


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
