"""Decoding images into one file, by several processes, to a format that is settled on the way."""

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
from dfal_cli.images.decode import InputFormat, Probe, probe_and_decode, probe_image, read_picture
from dfal_cli.images.folder import resolve_image
from dfal_cli.images.opening import ImageError
from dfal_cli.images.shape import common_shape
from dfal_cli.images.stream import worker_count
from dfal_cli.images.white import common_white, scale_warnings
from dfal_cli.system.files import atomic_output
from dfal_cli.system.processes import Processes
from dfal_cli.system.reporting import Reporter

KEPT_BYTES = 4 * 10**9
"""Of images that take more than that, none is kept: they are read from disk each time."""

PART = 500
"""So many images are decoded by a process at a time; for fewer none is started."""

TOLD = 20
"""After so many images a process says what has become of them."""


class UnreadableImagesError(DataError):
    """Images that cannot be read, all of them."""

    def __init__(self, unreadable: Sequence[tuple[str, str]]) -> None:
        """unreadable: each image and the reason, at least one."""
        image, reason = unreadable[0]
        super().__init__(f"{shown(image)} cannot be read: {reason} ({len(unreadable)} in all)")
        self.unreadable = list(unreadable)


Seen = tuple[Probe, float | None]
"""Of an image, and the largest value as of a DecodedImage."""


class _Part(NamedTuple):
    """Some of the images, and where their pixels go."""

    root: Path
    images: list[str]
    input_format: InputFormat
    file: Path
    start: int
    follow_links: bool


class _Found(NamedTuple):
    """What has become of some images of a part."""

    start: int
    seen: list[Seen]
    unreadable: dict[str, str]


class Preparing:
    """All images to be decoded, the pool first."""

    def __init__(
        self, root: Path, images: list[str], in_pool: int, file: Path, workers: int | None, reporter: Reporter,
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
        """Decode to the format of the first image, and once more if not all are like it; return it and whether kept."""
        shape = common_shape(
            (probe for probe, _ in itertools.islice(self._looked_at(self._images), 1)), image_size, grey
        )
        most = min(KEPT_BYTES, shutil.disk_usage(self._file.parent).free - DISK_RESERVE) // len(self._images)
        presumed = InputFormat(shape, white)
        fits = math.prod(shape) <= most
        seen = self._decode(presumed) if fits else self._seen_undecoded()
        self._stop_if_unreadable()
        settled = self._settled(seen, image_size, grey, white)
        if fits and settled != presumed:
            fits = math.prod(settled.shape) <= most
            if fits:
                self._decode(settled)
            else:
                self._file.unlink()
        return settled, fits

    def _settled(
        self, seen: Sequence[Seen], image_size: int | None, grey: bool | None, white: float | None
    ) -> InputFormat:
        """As told, or by the images of the pool, which come first."""
        pool = seen[: self._in_pool]
        shape = common_shape((probe for probe, _ in pool), image_size, grey, self._reporter.warn)
        if white is None and (wide := [largest for _, largest in pool if largest is not None]):
            white = common_white(np.array(wide))
            self._reporter.note(f"white: {white:g}, by the images of the pool (--white)")
        for warning in scale_warnings(np.array([each for _, each in seen if each is not None]), white):
            self._reporter.warn(warning)
        return InputFormat(shape, white)

    def _seen_undecoded(self) -> list[Seen]:
        """What there is to see of all images without keeping their pixels."""
        with self._reporter.progress("looking at", len(self._images), "images") as progress:
            return list(self._looked_at(progress.over(self._images)))

    def _looked_at(self, images: Iterable[str]) -> Iterator[Seen]:
        """Those that can be read, of which only those of more than 8 bits are decoded; the others are noted."""
        for image in images:
            try:
                path = resolve_image(self._root, image, follow_links=self._follow_links)
                probe = probe_image(path)
                yield probe, read_picture(path, InputFormat((1, 1, 1))).max_value if probe.over_8_bits else None
            except ImageError as error:
                self._unreadable[image] = str(error)

    def _stop_if_unreadable(self) -> None:
        if self._unreadable:
            raise UnreadableImagesError(sorted(self._unreadable.items()))

    def _decode(self, input_format: InputFormat) -> list[Seen]:
        """Write all images into the file. Raises UnreadableImagesError, after all have been tried."""
        total = len(self._images)
        seen: dict[int, list[Seen]] = {}
        with atomic_output(self._file) as temporary, self._reporter.progress("decoding", total, "images") as progress:
            np.lib.format.open_memmap(temporary, "w+", np.uint8, (total, *input_format.shape)).flush()
            _take_room(temporary)
            parts = [
                _Part(
                    self._root, self._images[start : start + PART], input_format, temporary, start, self._follow_links
                )
                for start in range(0, total, PART)
            ]
            with Processes() as processes:
                if len(parts) > 1 and self._workers > 1:
                    processes.start(min(len(parts), self._workers))
                for start, found, unreadable in processes.each(_decode_part, parts):
                    seen[start] = found
                    self._unreadable |= unreadable
                    progress.advance(len(found) + len(unreadable))
            self._stop_if_unreadable()
        return list(itertools.chain.from_iterable(seen[start] for start in sorted(seen)))


def _take_room(file: Path) -> None:
    """Have the disk set aside all of it now: writing to a mapped file for which there is none kills the process."""
    with file.open("r+b") as handle:
        os.posix_fallocate(handle.fileno(), 0, file.stat().st_size)


def _decode_part(part: _Part) -> Iterator[_Found]:
    pixels = np.lib.format.open_memmap(part.file, "r+")
    for first in range(0, len(part.images), TOLD):
        found = _Found(part.start + first, [], {})
        for place, image in enumerate(part.images[first : first + TOLD], found.start):
            try:
                path = resolve_image(part.root, image, follow_links=part.follow_links)
                probe, picture = probe_and_decode(path, part.input_format)
                pixels[place] = picture.pixels
            except ImageError as error:
                found.unreadable[image] = str(error)
            else:
                found.seen.append((probe, picture.max_value))
        yield found
