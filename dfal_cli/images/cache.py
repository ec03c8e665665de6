"""A cache of decoded images on disk, shared by all commands.

The cache folder has a subfolder for each way of decoding, with segment files of 16 MB. Segments are written atomically
and never change, so several commands may read, fill and clear the cache at the same time, or be killed. The cache only
saves time: whatever goes wrong with it, the images are decoded from their files, to the same pixels.
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
from dfal_cli.images.resize import STRETCH
from dfal_cli.images.roots import state_of_image
from dfal_cli.images.segments import SUFFIX, Key, Segment, SegmentError, map_pixels, read_segment, segment_bytes
from dfal_cli.images.stream import ImageReader
from dfal_cli.system.files import atomic_output
from dfal_cli.system.image_roots import ImageRoot, resolved
from dfal_cli.system.locks import LockHeldError, LocksUnsupportedError, holding
from dfal_cli.system.reporting import Reporter

SEGMENT_BYTES = 16_000_000
"""Size of a segment. Up to this much decoded data waits in memory, and is lost if the command is killed."""

SEGMENTS_MAPPED = 8
"""Number of segments mapped at a time, the last used ones: mapped pages count as memory of the process (128 MB)."""


@contextlib.contextmanager
def cached(
    folder: Path | None, limit: str, reader: ImageReader, reporter: Reporter, *, follow_links: bool = False
) -> Iterator[ImageReader]:
    """Yield an ImageReader that caches the images that `reader` decodes in `folder`; `reader` itself without a folder.

    limit: maximum size, such as `10GB`. follow_links: whether `reader` follows links; the cache keeps such images apart
    from those of readers that do not.
    If the folder cannot be created, images are not cached. Raises UsageError for an invalid limit or folder.
    """
    limit_bytes = bytes_of(limit)
    if folder is None:
        yield reader
        return
    try:
        make_folder(folder)
    except OSError as error:
        reporter.warn(f"the cache {folder} cannot be created: {error.strerror}; images are decoded each time")
        yield reader
        return
    cache = DecodedCache(folder, limit_bytes, reader, reporter, LINKS if follow_links else "")
    try:
        yield cache
    finally:
        cache.close()


LINKS = "-links"
"""Suffix of the subfolders for images that were read through links that may leave the image root."""

SECONDS_TO_WAIT = 10.0
"""Maximum wait for other commands that fill the cache: writing a segment takes less."""


class DecodedCache:
    """An ImageReader that caches decoded images in segment files.

    The key of an image is its real path and the state of its file. Unreadable images are not cached. Threads may share
    the cache; `close` writes the last images.
    """

    def __init__(self, folder: Path, limit: int, reader: ImageReader, reporter: Reporter, mark: str = "") -> None:
        self._folder = folder
        self._mark = mark
        self._limit = limit
        self._segment_bytes = min(SEGMENT_BYTES, limit // 8)  # a small cache also has several segments to clear
        self._reader = reader
        self._reporter = reporter
        self._real_root = functools.cache(resolved)  # resolved once: a link may change during the run
        self._stores: dict[InputFormat, _Store] = {}
        self._filling = True
        self._lock = threading.Lock()  # for filling; lookups need no lock
        self._hits, self._misses = itertools.count(), itertools.count()  # next() is atomic
        with contextlib.suppress(OSError):
            clear_leftovers(folder)
            make_room(folder, 0, limit)

    def __call__(self, root: ImageRoot, image: str, input_format: InputFormat) -> DecodedImage:
        """Return the image from the cache, or decode it. Raises ImageError."""
        real_root = self._real_root(root)
        key = _key_of(real_root, image)
        if key is None:
            return self._reader(root, image, input_format)  # it raises the error
        store = self._stores.get(input_format) or self._open(input_format)
        decoded = store.find(key)
        if decoded is None:
            decoded = self._reader(real_root, image, input_format)
            next(self._misses)
            if _key_of(real_root, image) == key:  # the file has not been replaced meanwhile
                self._add(store, key, decoded)
        else:
            next(self._hits)
        return decoded

    def close(self) -> None:
        """Write the images that are not in a segment yet, and report how many images came from the cache."""
        with self._lock:
            for store in self._stores.values():
                if self._filling and store.unwritten:
                    self._write(store)
            self._filling = False
        hits, misses = next(self._hits), next(self._misses)
        if hits + misses:
            self._reporter.note(f"{hits} of {hits + misses} image reads came from the cache {self._folder}")

    def _open(self, input_format: InputFormat) -> "_Store":
        with self._lock:
            if input_format not in self._stores:
                self._stores[input_format] = _Store(self._folder, input_format, self._mark)
            return self._stores[input_format]

    def _add(self, store: "_Store", key: Key, decoded: DecodedImage) -> None:
        with self._lock:
            if self._filling:
                store.unwritten[key.path] = (key, decoded)
                if len(store.unwritten) * decoded.pixels.nbytes >= self._segment_bytes:
                    self._write(store)

    def _write(self, store: "_Store") -> None:
        """Write the unwritten images of a store as a segment; stop filling the cache if that fails."""
        content = segment_bytes(store.unwritten.values())
        try:
            # One command at a time: two would exceed the limit, and the next would then remove segments in use.
            with holding(self._folder / ".lock", SECONDS_TO_WAIT, lambda holder: None):
                if make_room(self._folder, len(content), self._limit):
                    store.write(content)
                    return
            self._reporter.note(f"the cache {self._folder} is full: other images are decoded each time (--cache-limit)")
        except (OSError, TryAgainError, LockHeldError, LocksUnsupportedError) as error:
            reason = getattr(error, "strerror", None) or str(error) or "its file system does not support locks"
            self._reporter.warn(f"the cache {self._folder} cannot be filled: {reason}; images are decoded each time")
        self._filling = False
        store.unwritten.clear()


class _Store:
    """The cached images of one input format, in a subfolder of the cache."""

    def __init__(self, folder: Path, input_format: InputFormat, mark: str) -> None:
        shape, white, resize = input_format
        if resize != STRETCH:
            mark = f"-{resize.how}{resize.shorter_side or ''}-{resize.interpolation}{mark}"
        if white is not None:
            mark = f"-white{white!r}{mark}"
        # Another version of Pillow may decode to other pixels.
        self._folder = folder / f"{'x'.join(map(str, shape))}-{DECODING}-pillow{PIL.__version__}{mark}"
        self._shape = shape
        self._map = functools.lru_cache(SEGMENTS_MAPPED)(functools.partial(_map_and_mark_used, shape=shape))
        self._rows: dict[str, tuple[Segment, int]] = {}
        self.unwritten: dict[str, tuple[Key, DecodedImage]] = {}
        """Images that are not in a segment yet, by path."""
        for file in sorted(matching(self._folder, f"*{SUFFIX}")):  # oldest first, so that the newest entry wins
            self._index(file)

    def find(self, key: Key) -> DecodedImage | None:
        """Return the image, its pixels read-only; None if it is missing, outdated or damaged."""
        unwritten = self.unwritten.get(key.path)
        if unwritten is not None and unwritten[0] == key:
            return unwritten[1]
        entry = self._rows.get(key.path)
        if entry is None:
            return None
        segment, row = entry
        if segment.states[row].item() != key.state:
            return None
        try:
            pixels: Pixels = self._map(segment)[row]
        except (OSError, ValueError):  # another command has removed it
            return None
        if zlib.crc32(pixels.data) != segment.checksums[row]:
            _remove(segment.file)
            return None
        max_value = segment.max_values.item(row)
        return DecodedImage(pixels, None if math.isnan(max_value) else max_value)

    def write(self, content: bytes) -> None:
        """Write the unwritten images, which `content` holds, as a segment. Raises OSError."""
        file = self._folder / f"{time.time_ns():020d}-{uuid.uuid4().hex}{SUFFIX}"
        with atomic_output(file) as temporary:
            temporary.write_bytes(content)
        self._index(file)
        self.unwritten.clear()

    def _index(self, file: Path) -> None:
        """Add the images of a segment to the index; remove the segment if it is damaged."""
        try:
            paths, segment = read_segment(file, self._shape)
        except SegmentError:
            _remove(file)
        except OSError:  # another command has removed it
            pass
        else:
            self._rows |= {path: (segment, row) for row, path in enumerate(paths)}


def _key_of(root: ImageRoot, image: str) -> Key | None:
    """Return the cache key of an image file; None if it is missing."""
    state = state_of_image(root, image)
    return None if state is None else Key(f"{root}/{image}", state)


def _map_and_mark_used(segment: Segment, shape: Shape) -> Pixels:
    with contextlib.suppress(OSError):  # a read-only cache
        os.utime(segment.file)
    return map_pixels(segment, shape)


def _remove(file: Path) -> None:
    with contextlib.suppress(OSError):
        file.unlink()
