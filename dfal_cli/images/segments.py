"""Segments: files of decoded images that are written once and never change, so that reading needs no lock.

A segment holds the pixels of N images, uint8 (N, C, H, W); then a JSON index with, for each image, its path, the state
of its file, a checksum of its pixels and its maximum value before scaling to 8 bits; then a TRAILER, which detects
truncated and foreign files.
"""

import json
import mmap
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dfal_cli.images.decode import DecodedImage, Pixels
from dfal_cli.system.fingerprints import FileState

SUFFIX = ".pixels"

TRAILER = struct.Struct("<QI8s")
"""Length of the index in bytes, its CRC-32, MAGIC."""

MAGIC = b"dfal-px2"

STATE = np.dtype([("size", np.int64), ("modified", np.int64), ("inode", np.uint64), ("changed", np.int64)])
"""A FileState as a dtype."""


class SegmentError(Exception):
    """The file is not a complete segment."""


class Key(NamedTuple):
    """An image file and its state when it was decoded."""

    path: str
    state: FileState


@dataclass(frozen=True, eq=False)
class Segment:
    """The index of a segment of N images, without their paths."""

    file: Path
    states: npt.NDArray[Any]
    """(N,) of dtype STATE."""
    checksums: npt.NDArray[np.int64]
    """(N,): CRC-32 of the pixels of each image."""
    max_values: npt.NDArray[np.float64]
    """(N,): `max_value` of each DecodedImage; nan for None."""


def segment_bytes(images: Iterable[tuple[Key, DecodedImage]]) -> bytes:
    """Return the contents of a segment file of these images."""
    keys, decoded = zip(*images, strict=True)
    parts = [np.ascontiguousarray(image.pixels).data for image in decoded]
    columns = [list(column) for column in zip(*keys, strict=True)]
    columns += [[zlib.crc32(part) for part in parts], [image.max_value for image in decoded]]
    index = json.dumps(columns, separators=(",", ":")).encode()
    return b"".join([*parts, index, TRAILER.pack(len(index), zlib.crc32(index), MAGIC)])


def read_segment(file: Path, shape: Sequence[int]) -> tuple[list[str], Segment]:
    """Read the index of a segment of images with this shape; return the paths and the rest.

    Raises SegmentError or OSError.
    """
    with file.open("rb") as handle:
        length = handle.seek(0, 2)
        if length < TRAILER.size:
            raise SegmentError
        handle.seek(-TRAILER.size, 2)
        index_length, checksum, magic = TRAILER.unpack(handle.read())
        pixels_length = length - TRAILER.size - index_length
        if magic != MAGIC or pixels_length < 0:
            raise SegmentError
        handle.seek(pixels_length)
        index = handle.read(index_length)
    if zlib.crc32(index) != checksum:
        raise SegmentError
    paths, states, checksums, max_values = json.loads(index)
    if len(paths) * np.prod(shape, dtype=np.int64) != pixels_length:
        raise SegmentError
    packed = np.array([tuple(state) for state in states], STATE)
    return paths, Segment(file, packed, np.array(checksums, np.int64), np.array(max_values, np.float64))


def map_pixels(segment: Segment, shape: Sequence[int]) -> Pixels:
    """Map the pixels of a segment, (N, C, H, W), read-only; they stay valid when the file is removed.

    Raises OSError or ValueError if the file is missing or too short.
    """
    count = len(segment.checksums)
    with segment.file.open("rb") as handle:
        mapped = mmap.mmap(handle.fileno(), int(count * np.prod(shape, dtype=np.int64)), access=mmap.ACCESS_READ)
    return np.frombuffer(mapped, np.uint8).reshape(count, *shape)
