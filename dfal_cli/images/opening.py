"""Opening an untrusted image file without hanging, exhausting the memory, or running another program."""

import contextlib
import errno
import io
import logging
import os
import stat
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from PIL import Image, UnidentifiedImageError

from dfal_cli.errors import TryAgainError
from dfal_cli.images.files import MOST_BYTES, ImageFile, PackedFile
from dfal_cli.images.formats import formats_for, not_readable

MOST_PIXELS = 89_478_485
"""Maximum size of an image: a few bytes of file can claim to be gigabytes of pixels."""

MOST_SCANNED = 2 * 10**9
"""Maximum of pixels times scans of a progressive JPEG. It allows 22 scans of the largest image; ten are usual."""

START_OF_SCAN = b"\xff\xda"

LARGE_PIXELS, LARGE_BYTES = 16_000_000, 64_000_000
"""Images larger than either are decoded one at a time, because one may briefly take 1.5 GB of memory."""

OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors caused by the machine, not by the image."""

TILE = (322, 323)
"""TIFF tags: width and height of a tile."""

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

# Warnings about malformed tags do not help the user: images that cannot be decoded are reported. They are silenced once
# for all threads, because per-image changes to the filters are not thread-safe.
warnings.filterwarnings("ignore", module="PIL")
logging.getLogger("PIL").addHandler(logging.NullHandler())  # without a handler, its errors would go to stderr

_one_at_a_time = threading.RLock()


class ImageError(Exception):
    """An image cannot be read; the message is the reason, without the path."""


class MissingImageError(ImageError):
    """The image file does not exist."""


class _Unmapped(io.FileIO):
    """A file without `fileno`: libtiff would map it, and truncating a mapped file kills the process."""

    def fileno(self) -> int:
        """Raise OSError, as a file in memory does."""
        raise io.UnsupportedOperation("fileno")


@contextlib.contextmanager
def opened_image(file: ImageFile) -> Iterator[Image.Image]:
    """Open an image; its contents, not its suffix, decide the format. Any decoding error in the block is an ImageError.

    Raises TryAgainError if the machine is out of memory or file handles.
    """
    try:
        with contextlib.ExitStack() as stack:
            handle = _opened_file(file, stack)
            image = stack.enter_context(Image.open(handle, formats=formats_for(file.name)))
            pixels = _pixels_at_once(image)
            if pixels > MOST_PIXELS:
                raise Image.DecompressionBombError
            if pixels > LARGE_PIXELS:
                stack.enter_context(_one_at_a_time)
            if "progressive" in image.info:
                _check_scans(handle, image.width * image.height)
            yield image
    except (ImageError, TryAgainError):
        raise
    except FileNotFoundError:
        raise MissingImageError("no such file") from None
    except UnidentifiedImageError:
        raise ImageError(not_readable(file.name)) from None
    except Image.DecompressionBombError:
        raise ImageError(f"too many pixels: more than {MOST_PIXELS:,}") from None
    except MemoryError:  # usually caused by a size that the file claims, not by the machine
        raise ImageError("not enough memory to decode it") from None
    except Exception as error:  # decoders raise almost anything: OSError, SyntaxError, struct.error ...
        if isinstance(error, OSError) and error.errno in OUT_OF_RESOURCES:
            raise TryAgainError(f"{file}: {error.strerror}; use fewer --workers") from None
        raise ImageError(_reason(error)) from error


def kind_of(status: os.stat_result) -> str:
    """Return the kind of a path that is not a regular file, such as `a FIFO`; "" if it is one."""
    return "" if stat.S_ISREG(status.st_mode) else KINDS.get(stat.S_IFMT(status.st_mode), "not a file")


def _opened_file(file: ImageFile, stack: contextlib.ExitStack) -> IO[bytes]:
    """Open the file for Pillow; `stack` closes it. Raises ImageError or OSError.

    Pillow gets a file object instead of a path, because it maps files that it opens itself.
    """
    size = _size_on_disk(file) if isinstance(file, Path) else _size_packed(file)
    if size > MOST_BYTES:
        raise ImageError(f"the file is too large: more than {MOST_BYTES:,} bytes")
    if size > LARGE_BYTES:
        stack.enter_context(_one_at_a_time)
    if isinstance(file, Path):
        return stack.enter_context(io.BufferedReader(_Unmapped(_open_nonblocking(file))))
    return stack.enter_context(file.open())


def _size_on_disk(path: Path) -> int:
    status = path.stat()  # checked first: merely opening a device may have effects
    if kind := kind_of(status):
        raise ImageError(f"{kind}, not an image file")
    return status.st_size


def _size_packed(file: PackedFile) -> int:
    state = file.state()
    if state is None:
        raise FileNotFoundError(file.name)
    return state.size


def _pixels_at_once(image: Image.Image) -> int:
    """Return the number of pixels that the decoder allocates; a tile of a TIFF may be larger than the image."""
    tags = getattr(image, "tag_v2", {})
    sides = [tags.get(tag, 0) for tag in TILE]
    across, down = (int(max(side) if isinstance(side, tuple) else side) for side in sides)
    return max(image.width * image.height, across * down)


def _check_scans(file: IO[bytes], pixels: int) -> None:
    """Raise ImageError for a progressive JPEG with so many scans that decoding would take hours."""
    place = file.tell()
    file.seek(0)
    scans = file.read(MOST_BYTES).count(START_OF_SCAN)
    file.seek(place)
    if scans * pixels > MOST_SCANNED:
        raise ImageError(f"too many scans: {scans:,} of {pixels:,} pixels")


def _open_nonblocking(path: Path) -> int:
    """Open a file without blocking, in case it has been replaced by a FIFO."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


def _reason(error: Exception) -> str:
    """Return the message of a decoder in one line, without the path."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(said.split()) or type(error).__name__
