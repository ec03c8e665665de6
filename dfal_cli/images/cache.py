"""Decoded images kept on disk from one command to the next.

Under the cache folder there is a folder for each way of decoding, with segments of 16 MB. A segment appears whole under
its name or not at all, and never changes: commands may read, fill and clear one cache at the same time, and be killed.
The cache is a convenience: whatever goes wrong with it, the images are decoded, and no pixel is another one.
"""

import contextlib
import functools
import itertools
import math
import os
import threading
import time
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path

import PIL

from dfal_cli.errors import TryAgainError
from dfal_cli.images.cache_space import bytes_of, clear_leftovers, make_folder, make_room, matching
from dfal_cli.images.decode import DECODING, DecodedImage, InputFormat, Pixels, Shape
from dfal_cli.images.segments import SUFFIX, Key, Segment, SegmentError, map_pixels, read_segment, segment_bytes
from dfal_cli.images.stream import ImageReader
from dfal_cli.system.files import atomic_output
from dfal_cli.system.fingerprints import file_state
from dfal_cli.system.locks import LockHeldError, LocksUnsupportedError, holding
from dfal_cli.system.reporting import Reporter

SEGMENT_BYTES = 16_000_000
"""What is decoded but not yet in a segment is lost when a command is killed, and takes memory."""

SEGMENTS_MAPPED = 8
"""Mapped pages count as memory of the process, so only the segments used last are mapped: 128 MB."""


@contextlib.contextmanager
def cached(
    folder: Path | None, limit: str, reader: ImageReader, reporter: Reporter, *, follow_links: bool = False
) -> Iterator[ImageReader]:
    """Yield an ImageReader that keeps in `folder` what `reader` decodes; `reader` itself if there is no folder.

    follow_links: whether `reader` does. What it has read then is kept apart, from readers that must not.
    A folder that cannot be made is done without. Raises UsageError if the limit is none, or the folder a file.
    """
    limit_bytes = bytes_of(limit)
    if folder is None:
        yield reader
        return
    try:
        make_folder(folder)
    except OSError as error:
        reporter.warn(f"the cache {folder} cannot be made: {error.strerror}; images are decoded each time")
        yield reader
        return
    cache = DecodedCache(folder, limit_bytes, reader, reporter, LINKS if follow_links else "")
    try:
        yield cache
    finally:
        cache.close()


LINKS = "-links"
"""Marks what was read by way of links that may leave the image root."""

SECONDS_TO_WAIT = 10.0
"""For other commands that fill the cache: a segment is written in less."""


class DecodedCache:
    """An ImageReader that keeps decoded images in segment files.

    Images are known by their real path and the state of their files; what cannot be read is not kept. Threads may share
    it; close it to keep the last images too.
    """

    def __init__(self, folder: Path, limit: int, reader: ImageReader, reporter: Reporter, mark: str = "") -> None:
        self._folder = folder
        self._mark = mark
        self._limit = limit
        self._segment_bytes = min(SEGMENT_BYTES, limit // 8)  # a small limit can be filled, and cleared, by parts
        self._reader = reader
        self._reporter = reporter
        self._real_root = functools.cache(os.path.realpath)  # a link may be turned meanwhile
        self._shelves: dict[InputFormat, _Shelf] = {}
        self._filling = True
        self._lock = threading.Lock()  # of filling; finding needs none
        self._hits, self._misses = itertools.count(), itertools.count()  # next() is one step for all threads
        with contextlib.suppress(OSError):
            clear_leftovers(folder)
            make_room(folder, 0, limit)

    def __call__(self, root: Path, image: str, input_format: InputFormat) -> DecodedImage:
        """Read the image, from the cache if it is there. Raises ImageError."""
        real_root = self._real_root(root)
        path = f"{real_root}/{image}"
        key = _key_of(path)
        if key is None:
            return self._reader(root, image, input_format)  # says why not
        shelf = self._shelves.get(input_format) or self._open(input_format)
        picture = shelf.find(key)
        if picture is None:
            picture = self._reader(Path(real_root), image, input_format)
            next(self._misses)
            if _key_of(path) == key:  # it has not been replaced meanwhile
                self._keep(shelf, key, picture)
        else:
            next(self._hits)
        return picture

    def close(self) -> None:
        """Publish what is not yet in a segment; say how much came from the cache."""
        with self._lock:
            for shelf in self._shelves.values():
                if self._filling and shelf.fresh:
                    self._publish(shelf)
            self._filling = False
        hits, misses = next(self._hits), next(self._misses)
        if hits + misses:
            self._reporter.note(f"{hits} of {hits + misses} readings of images came from the cache {self._folder}")

    def _open(self, input_format: InputFormat) -> "_Shelf":
        with self._lock:
            if input_format not in self._shelves:
                self._shelves[input_format] = _Shelf(self._folder, input_format, self._mark)
            return self._shelves[input_format]

    def _keep(self, shelf: "_Shelf", key: Key, picture: DecodedImage) -> None:
        with self._lock:
            if self._filling:
                shelf.fresh[key.path] = (key, picture)
                if len(shelf.fresh) * picture.pixels.nbytes >= self._segment_bytes:
                    self._publish(shelf)

    def _publish(self, shelf: "_Shelf") -> None:
        """Make a segment of a shelf's fresh images; if that cannot be, stop filling."""
        content = segment_bytes(shelf.fresh.values())
        try:
            # In turn: two at once would overshoot the limit, and the next would remove what is in use to keep it.
            with holding(self._folder / ".lock", SECONDS_TO_WAIT, lambda holder: None):
                if make_room(self._folder, len(content), self._limit):
                    shelf.publish(content)
                    return
            self._reporter.note(
                f"the cache {self._folder} is full: further images are decoded each time (--cache-limit)"
            )
        except (OSError, TryAgainError, LockHeldError, LocksUnsupportedError) as error:
            reason = getattr(error, "strerror", None) or str(error) or "its file system knows no locks"
            self._reporter.warn(f"the cache {self._folder} cannot be filled: {reason}; images are decoded each time")
        self._filling = False
        shelf.fresh.clear()


class _Shelf:
    """The decoded images of one format, and of one mark."""

    def __init__(self, folder: Path, input_format: InputFormat, mark: str) -> None:
        shape, white = input_format
        if white is not None:
            mark = f"-white{white!r}{mark}"
        # Another Pillow may bring another decoder, and other pixels.
        self._folder = folder / f"{'x'.join(map(str, shape))}-{DECODING}-pillow{PIL.__version__}{mark}"
        self._shape = shape
        self._map = functools.lru_cache(SEGMENTS_MAPPED)(functools.partial(_map_and_mark_used, shape=shape))
        self._places: dict[str, tuple[Segment, int]] = {}
        self.fresh: dict[str, tuple[Key, DecodedImage]] = {}
        """Those that are in no segment yet."""
        for file in sorted(matching(self._folder, f"*{SUFFIX}")):  # by age, so that the newest of an image is found
            self._index(file)

    def find(self, key: Key) -> DecodedImage | None:
        """The picture, its pixels read-only; None if it is not here, or of another state of the file, or damaged."""
        fresh = self.fresh.get(key.path)
        if fresh is not None and fresh[0] == key:
            return fresh[1]
        place = self._places.get(key.path)
        if place is None:
            return None
        segment, row = place
        if segment.states[row].item() != key.state:
            return None
        try:
            pixels: Pixels = self._map(segment)[row]
        except (OSError, ValueError):  # another command has removed it
            return None
        if zlib.crc32(pixels.data) != segment.checksums[row]:
            _remove(segment.file)
            return None
        largest = segment.max_values.item(row)
        return DecodedImage(pixels, None if math.isnan(largest) else largest)

    def publish(self, content: bytes) -> None:
        """Write the fresh images, whose segment is `content`, and forget them. Raises OSError."""
        file = self._folder / f"{time.time_ns():020d}-{uuid.uuid4().hex}{SUFFIX}"
        with atomic_output(file) as temporary:
            temporary.write_bytes(content)
        self._index(file)
        self.fresh.clear()

    def _index(self, file: Path) -> None:
        """Know the images of a segment; remove it if it is damaged."""
        try:
            paths, segment = read_segment(file, self._shape)
        except SegmentError:
            _remove(file)
        except OSError:  # another command has removed it
            pass
        else:
            self._places |= {path: (segment, row) for row, path in enumerate(paths)}


def _key_of(path: str) -> Key | None:
    """The state of an image's file; None if it is not there."""
    state = file_state(path)
    return None if state is None else Key(path, state)


def _map_and_mark_used(segment: Segment, shape: Shape) -> Pixels:
    with contextlib.suppress(OSError):  # a cache that may only be read
        os.utime(segment.file)
    return map_pixels(segment, shape)


def _remove(file: Path) -> None:
    with contextlib.suppress(OSError):
        file.unlink()
