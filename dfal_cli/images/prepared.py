"""Images decoded once into one file, for many rounds over them and for several processes at a time."""

import functools
import itertools
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL

from dfal_cli.console import Reporter
from dfal_cli.errors import DataError
from dfal_cli.files import FileState, atomic_output, fingerprint, stat_if_there
from dfal_cli.images.decode import (
    DECODING,
    InputFormat,
    Pixels,
    Probe,
    Shape,
    probe_and_decode,
    probe_image,
    read_picture,
)
from dfal_cli.images.folder import Listing, Skipped, inside
from dfal_cli.images.opening import ImageError
from dfal_cli.images.room import DISK_RESERVE
from dfal_cli.images.shape import common_shape
from dfal_cli.images.stream import Decoded, read_batches, read_from_disk, worker_count
from dfal_cli.images.white import NONE_WIDE, scale_warnings, settled_white
from dfal_cli.kept import read_json, write_json
from dfal_cli.processes import Processes

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
        super().__init__(f"{image!r} cannot be read: {reason} ({len(unreadable)} in all)")
        self.unreadable = list(unreadable)


@dataclass(frozen=True)
class PreparedImages:
    """An ImageSource of images that are known by now, and do not change: what is made from them says so already."""

    root: Path
    pool: list[str]
    """The images it lists, sorted; it knows others besides."""
    input_format: InputFormat
    places: dict[str, int]
    """Where in `file` an image is."""
    file: Path | None
    """uint8 (N, C, H, W), .npy; None if the images are read from disk each time."""
    follow_links: bool

    @property
    def shape(self) -> Shape:
        """(C, H, W)"""
        return self.input_format.shape

    def listing(self) -> Listing:
        """The images of the pool."""
        return Listing(self.pool, [], Skipped())

    def is_there(self, image: str) -> bool:
        """Whether it has been prepared."""
        return image in self.places

    def probe(self, image: str) -> Probe:
        """What was found to be common to all images, so that every round has the same network."""
        channels, height, width = self.shape
        return Probe(channels == 1, height, width)

    def state_of(self, image: str) -> FileState | None:
        """Always the same."""
        return None

    def content_of(self, image: str) -> str:
        """Always the same."""
        return ""

    def batches(
        self, images: Sequence[str], input_format: InputFormat, batch_size: int, workers: int | None
    ) -> Iterator[Decoded]:
        """The images as decoded batches, in order."""
        if self.file is None:
            reader = functools.partial(read_from_disk, follow_links=self.follow_links)
            yield from read_batches(self.root, images, input_format, batch_size, workers, reader)
            return
        for start in range(0, len(images), batch_size):
            batch = list(images[start : start + batch_size])
            yield Decoded(batch, _mapped(self.file)[[self.places[image] for image in batch]], [], NONE_WIDE)


def prepare(
    root: Path,
    pool: Iterable[str],
    others: Iterable[str],
    *,
    image_size: int | None,
    grey: bool | None,
    white: float | None,
    follow_links: bool,
    folder: Path,
    workers: int | None,
    reporter: Reporter,
) -> PreparedImages:
    """Decode `pool` and `others` into `folder`, unless that has been done; to a format as told, or as the pool's is.

    Raises UnreadableImagesError if some cannot be read.
    """
    listed = sorted(pool)
    images = [*listed, *sorted(set(others) - set(listed))]
    states = [stat_if_there(f"{root}/{image}") for image in images]
    made_from = fingerprint(images, len(listed), states, image_size, grey, white, DECODING, PIL.__version__)[:16]
    file, settled = folder / f"images-{made_from}.npy", folder / f"images-{made_from}.json"
    places = {image: place for place, image in enumerate(images)}
    known = _settled(settled)
    if known is None or (known[1] and not _is_whole(file, (len(images), *known[0].shape))):
        for old in folder.glob("images-*"):
            old.unlink()
        folder.mkdir(parents=True, exist_ok=True)
        preparing = _Preparing(root, images, len(listed), file, workers, reporter, follow_links=follow_links)
        known = preparing.run(image_size, grey, white)
        write_json(settled, {**known[0]._asdict(), "kept": known[1]})
    input_format, kept = known
    return PreparedImages(root, listed, input_format, places, file if kept else None, follow_links)


Seen = tuple[Probe, float | None]
"""Of an image, and the largest value as of a Picture."""


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


class _Preparing:
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
            white = settled_white(max(wide))
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
                path = inside(self._root, image, follow_links=self._follow_links)
                probe = probe_image(path)
                yield probe, read_picture(path, InputFormat((1, 1, 1))).largest if probe.wide else None
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


def _settled(file: Path) -> tuple[InputFormat, bool] | None:
    """The format of images prepared before, and whether they are kept; None if that is not known."""
    match read_json(file):
        case {"shape": [int(channels), int(height), int(width)], "white": float() | None as white, "kept": bool(kept)}:
            return InputFormat((channels, height, width), white), kept
    return None


def _is_whole(file: Path, shape: tuple[int, ...]) -> bool:
    """Whether the file is there and holds an array of that shape."""
    try:
        return _mapped(file).shape == shape
    except (OSError, ValueError, EOFError):
        return False


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
                path = inside(part.root, image, follow_links=part.follow_links)
                probe, picture = probe_and_decode(path, part.input_format)
                pixels[place] = picture.pixels
            except ImageError as error:
                found.unreadable[image] = str(error)
            else:
                found.seen.append((probe, picture.largest))
        yield found


@functools.cache
def _mapped(file: Path) -> Pixels:
    mapped: Pixels = np.load(file, mmap_mode="r")
    return mapped
