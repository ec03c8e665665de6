"""Decoding many images into one file with several processes, to a format that the images themselves decide."""

import itertools
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dfal_cli.errors import DataError, shown
from dfal_cli.images.cache_space import DISK_RESERVE
from dfal_cli.images.decode import InputFormat, Probe, probe_and_decode, probe_image, read_image
from dfal_cli.images.opening import ImageError
from dfal_cli.images.roots import resolve_image
from dfal_cli.images.shape import common_shape
from dfal_cli.images.stream import worker_count
from dfal_cli.images.white import common_white, scale_warnings
from dfal_cli.system.files import atomic_output
from dfal_cli.system.image_roots import ImageRoot
from dfal_cli.system.processes import Processes
from dfal_cli.system.reporting import Reporter

KEPT_BYTES = 4 * 10**9
"""Maximum size of the file. More images than that are not stored: they are read from their own files each time."""

PART = 500
"""Number of images per task of a process; for fewer images no process is started."""

REPORTED_AT_ONCE = 20
"""Number of images after which a process reports its results."""


class UnreadableImagesError(DataError):
    """Some images cannot be read; `unreadable` lists all of them."""

    def __init__(self, unreadable: Sequence[tuple[str, str]]) -> None:
        """unreadable: path and reason of each image, at least one."""
        image, reason = unreadable[0]
        super().__init__(f"{shown(image)} cannot be read: {reason} ({len(unreadable)} in all)")
        self.unreadable = list(unreadable)


Seen = tuple[Probe, float | None]
"""The probe of an image, and its `DecodedImage.max_value`."""


class _Part(NamedTuple):
    """A task of a process: consecutive images, and where their pixels go."""

    root: ImageRoot
    images: list[str]
    input_format: InputFormat
    file: Path
    start: int
    follow_links: bool


class _Found(NamedTuple):
    """Results of some images of a part."""

    start: int
    seen: list[Seen]
    unreadable: dict[str, str]


class BulkDecoder:
    """Decodes a list of images, of which the pool comes first."""

    def __init__(
        self, root: ImageRoot, images: list[str], in_pool: int, file: Path, workers: int | None, reporter: Reporter,
        *, follow_links: bool,
    ) -> None:  # fmt: skip
        self._root = root
        self._images = images
        self._in_pool = in_pool
        self._file = file
        self._workers = max(1, worker_count(workers))
        self._reporter = reporter
        self._follow_links = follow_links
        self._unreadable: dict[str, str] = {}

    def run(self, image_size: int | None, grey: bool | None, white: float | None) -> tuple[InputFormat, bool]:
        """Decode all images; return their format, and whether the pixels were stored.

        The format of the first image is tried first: usually all images share it, and one pass suffices.
        """
        shape = common_shape((probe for probe, _ in itertools.islice(self._probe(self._images), 1)), image_size, grey)
        most = min(KEPT_BYTES, shutil.disk_usage(self._file.parent).free - DISK_RESERVE) // len(self._images)
        presumed = InputFormat(shape, white)
        fits = math.prod(shape) <= most
        seen = self._decode(presumed) if fits else self._probe_all()
        self._stop_if_unreadable()
        chosen = self._choose_format(seen, image_size, grey, white)
        if fits and chosen != presumed:
            fits = math.prod(chosen.shape) <= most
            if fits:
                self._decode(chosen)
            else:
                self._file.unlink()
        return chosen, fits

    def _choose_format(
        self, seen: Sequence[Seen], image_size: int | None, grey: bool | None, white: float | None
    ) -> InputFormat:
        """Return the format that the options give, completed by the images of the pool."""
        pool = seen[: self._in_pool]
        shape = common_shape((probe for probe, _ in pool), image_size, grey, self._reporter.warn)
        if white is None and (max_values := [value for _, value in pool if value is not None]):
            white = common_white(np.array(max_values))
            self._reporter.note(f"white: {white:g}, from the images of the pool (--white)")
        for warning in scale_warnings(np.array([value for _, value in seen if value is not None]), white):
            self._reporter.warn(warning)
        return InputFormat(shape, white)

    def _probe_all(self) -> list[Seen]:
        """Probe all images without storing their pixels."""
        with self._reporter.progress("reading headers", len(self._images), "images") as progress:
            return list(self._probe(progress.over(self._images)))

    def _probe(self, images: Iterable[str]) -> Iterator[Seen]:
        """Yield the probes of readable images, and remember the others; only images of more than 8 bits are decoded."""
        for image in images:
            try:
                path = resolve_image(self._root, image, follow_links=self._follow_links)
                probe = probe_image(path)
                yield probe, read_image(path, InputFormat((1, 1, 1))).max_value if probe.over_8_bits else None
            except ImageError as error:
                self._unreadable[image] = str(error)

    def _stop_if_unreadable(self) -> None:
        if self._unreadable:
            raise UnreadableImagesError(sorted(self._unreadable.items()))

    def _decode(self, input_format: InputFormat) -> list[Seen]:
        """Decode all images into the file. Raises UnreadableImagesError if some cannot be read, after trying all."""
        total = len(self._images)
        seen: dict[int, list[Seen]] = {}
        with atomic_output(self._file) as temporary, self._reporter.progress("decoding", total, "images") as progress:
            np.lib.format.open_memmap(temporary, "w+", np.uint8, (total, *input_format.shape)).flush()
            _allocate(temporary)
            parts = [
                _Part(
                    self._root, self._images[start : start + PART], input_format, temporary, start, self._follow_links
                )
                for start in range(0, total, PART)
            ]
            with Processes() as processes:
                if len(parts) > 1 and self._workers > 1:
                    processes.start(min(len(parts), self._workers))
                for start, found, unreadable in processes.each([_decode_part], parts):
                    seen[start] = found
                    self._unreadable |= unreadable
                    progress.advance(len(found) + len(unreadable))
            self._stop_if_unreadable()
        return list(itertools.chain.from_iterable(seen[start] for start in sorted(seen)))


def _allocate(file: Path) -> None:
    """Allocate the disk space of the file now: writing to a mapped file on a full disk would kill the process."""
    with file.open("r+b") as handle:
        os.posix_fallocate(handle.fileno(), 0, file.stat().st_size)


def _decode_part(part: _Part) -> Iterator[_Found]:
    pixels = np.lib.format.open_memmap(part.file, "r+")
    for first in range(0, len(part.images), REPORTED_AT_ONCE):
        found = _Found(part.start + first, [], {})
        for row, image in enumerate(part.images[first : first + REPORTED_AT_ONCE], found.start):
            try:
                path = resolve_image(part.root, image, follow_links=part.follow_links)
                probe, decoded = probe_and_decode(path, part.input_format)
                pixels[row] = decoded.pixels
            except ImageError as error:
                found.unreadable[image] = str(error)
            else:
                found.seen.append((probe, decoded.max_value))
        yield found
