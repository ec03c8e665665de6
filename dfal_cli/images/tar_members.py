"""The members of an untrusted tar, by their headers.

`tarfile` takes 25 microseconds a member, so plain headers, which nearly all are, are read here; it reads all others.
"""

import io
import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from dfal_cli.images.listing import problem_of

MOST_HEADER_BYTES = 1_000_000
"""Maximum size of the header of a member, which `tarfile` reads into memory: a few bytes can claim to be gigabytes."""

ENDS_EARLY = "the tar ends here: it is truncated, or still being written; copy it again"
DAMAGED = "the tar is damaged here, and its other members cannot be found"

KINDS = {
    tarfile.SYMTYPE: "a link", tarfile.LNKTYPE: "a link", tarfile.CHRTYPE: "a device", tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a FIFO", tarfile.GNUTYPE_SPARSE: "a sparse file",
}  # fmt: skip
"""Types of members that are not read."""

BLOCK = tarfile.BLOCKSIZE

TIMES = re.compile(rb"(?:\d+ [amc]time=-?\d+(?:\.\d+)?\n)+\0*\Z")
"""Matches the data of a header that Python writes before every file whose time is not in whole seconds."""


class Found(NamedTuple):
    """A member that is no folder; or, without a name, the place from which on members are lost."""

    name: str
    offset: int = 0
    """Where its data begin."""
    size: int = 0
    problem: str = ""
    """The reason why it cannot be read; "" if it can."""


class _Headers(io.FileIO):
    """A tar whose headers have a limited size."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= MOST_HEADER_BYTES:
            raise tarfile.ReadError("a header is too large")
        return super().read(size)


def members(path: str) -> Iterator[Found]:
    """Yield the members of a tar, in its order. Raises OSError if it cannot be opened."""
    with _Headers(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)) as file:
        size = Path(path).stat().st_size
        try:
            yield from _members(file, size)
        except OSError as error:
            yield Found("", problem=error.strerror or str(error))
        except Exception:  # tarfile raises its own errors, and almost anything else for a damaged header
            yield Found("", problem=ENDS_EARLY if file.tell() >= size else DAMAGED)


def _members(file: _Headers, size: int) -> Iterator[Found]:
    """size: that of the tar. Raises what `tarfile` raises."""
    with tarfile.open(fileobj=file, mode="r:", errors="surrogateescape") as tar:
        place = 0
        while True:
            start, header = _after_times(file, place)
            plain = None if tar.pax_headers else _plain(header)
            if plain is not None:
                name, length = plain
                data = start + BLOCK
                place = data + -(-length // BLOCK) * BLOCK
                yield Found(name, data, length, ENDS_EARLY if data + length > size else problem_of(name))
                if place > size:
                    yield Found("", problem=ENDS_EARLY)
                    return
                continue
            member = _next(tar, place)
            if member is None:
                break
            if tar.offset <= place or member.size < 0:
                yield Found("", problem=DAMAGED)
                return
            place = tar.offset
            if not member.isdir():
                is_cut = member.isreg() and member.offset_data + member.size > size
                problem = ENDS_EARLY if is_cut else _problem_of(member)
                yield Found(_normalised(member.name), member.offset_data, member.size, problem)
    if len(header) < BLOCK:
        yield Found("", problem=ENDS_EARLY)
    elif any(header):
        yield Found("", problem=DAMAGED)


def _after_times(file: _Headers, place: int) -> tuple[int, bytes]:
    """Return the place and the header of a member, without the header that only gives its times more precisely."""
    header = os.pread(file.fileno(), BLOCK, place)
    if header[156:157] == tarfile.XHDTYPE and TIMES.match(os.pread(file.fileno(), BLOCK, place + BLOCK)):
        start = place + 2 * BLOCK
        following = os.pread(file.fileno(), BLOCK, start)
        if _plain(following) is not None:
            return start, following
    return place, header


def _plain(header: bytes) -> tuple[str, int] | None:
    """Return name and size of a regular file that one header describes; None if `tarfile` is to read the header."""
    if header[156:157] not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        return None
    try:
        size, checksum = int(header[124:136].partition(b"\0")[0], 8), int(header[148:156].partition(b"\0")[0], 8)
    except ValueError:  # blank, or in base 256
        return None
    name, prefix = (header[start:end].partition(b"\0")[0] for start, end in ((0, 100), (345, 500)))
    if size < 0 or name.endswith(b"/") or checksum != sum(header) - sum(header[148:156]) + 8 * ord(" "):
        return None
    whole = b"%b/%b" % (prefix, name) if prefix else name
    return _normalised(whole.decode(errors="surrogateescape")), size


def _next(tar: tarfile.TarFile, place: int) -> tarfile.TarInfo | None:
    """Read the member at a place; None at the end."""
    tar.firstmember = None  # type: ignore[attr-defined]
    tar.offset = place
    tar.fileobj.seek(place)
    member = tar.next()
    tar.members.clear()  # type: ignore[attr-defined]  # it would keep all of them
    return member


def _normalised(name: str) -> str:
    """Return the name of a member without the ./ that tars of the working directory have."""
    return PurePosixPath(name).as_posix() if name.startswith("./") or "//" in name or "/./" in name else name


def _problem_of(member: tarfile.TarInfo) -> str:
    """Return the reason why a member cannot be read if it is an image; "" if it can."""
    if problem := problem_of(_normalised(member.name)):
        return problem
    if not member.isreg() or member.issparse():
        kind = "a sparse file" if member.issparse() else KINDS.get(member.type, "of an unknown type")
        return f"{kind} in a tar; store the image itself in it"
    return ""
