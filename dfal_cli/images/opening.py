"""Opening one image file, whatever it may be: it does not hang, does not fill the memory, and runs no other program."""

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
from dfal_cli.images.formats import formats_for, not_readable

MOST_PIXELS = 89_478_485
"""Larger images are refused: a few bytes of file can claim to be gigabytes of pixels."""

MOST_BYTES = 10**9
"""Larger files are refused: some decoders read all of a file, or a part as long as it claims, into memory."""

MOST_SCANNED = 2 * 10**9
"""Pixels times scans of a progressive JPEG: the largest has 22, where ten are usual."""

START_OF_SCAN = b"\xff\xda"

LARGE_PIXELS, LARGE_BYTES = 16_000_000, 64_000_000
"""Images larger than either are decoded one at a time: one may take 1.5 GB of memory for a moment."""

NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors that say nothing of the image."""

TILE = (322, 323)
"""TIFF tags: width and height of a tile."""

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

# A malformed tag is no news to the user: what cannot be decoded is reported as such. (Set once: the decoding threads
# could not set and restore it per image.)
warnings.filterwarnings("ignore", module="PIL")
logging.getLogger("PIL").addHandler(logging.NullHandler())  # without any, its errors would go to stderr

_one_at_a_time = threading.RLock()


class ImageError(Exception):
    """An image cannot be read; the message is the reason, without its path."""


class MissingImageError(ImageError):
    """There is no such file."""


class _Unmapped(io.FileIO):
    """A file that tells nobody its number: libtiff maps one that does, and whoever cuts it short kills the process."""

    def fileno(self) -> int:
        """Raises OSError, as that of a file in memory does."""
        raise io.UnsupportedOperation("fileno")


@contextlib.contextmanager
def opened_image(path: Path) -> Iterator[Image.Image]:
    """Open an image, by its contents, not its suffix; whatever its decoder says in the block becomes an ImageError.

    Raises TryAgainError where the machine is at fault.
    """
    try:
        with contextlib.ExitStack() as stack:
            file = _opened_file(path, stack)
            image = stack.enter_context(Image.open(file, formats=formats_for(path)))
            pixels = _pixels_at_once(image)
            if pixels > MOST_PIXELS:
                raise Image.DecompressionBombError
            if pixels > LARGE_PIXELS:
                stack.enter_context(_one_at_a_time)
            if "progressive" in image.info:
                _check_scans(file, image.width * image.height)
            yield image
    except (ImageError, TryAgainError):
        raise
    except FileNotFoundError:
        raise MissingImageError("no such file") from None
    except UnidentifiedImageError:
        raise ImageError(not_readable(path)) from None
    except Image.DecompressionBombError:
        raise ImageError(f"too many pixels: more than {MOST_PIXELS:,}") from None
    except MemoryError:  # more often what the file claims than what the machine lacks
        raise ImageError("not enough memory to decode it") from None
    except Exception as error:  # decoders of broken files raise almost anything: OSError, SyntaxError, struct.error ...
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise TryAgainError(f"{path}: {error.strerror}; try again with fewer --workers") from None
        raise ImageError(_reason(error)) from error


def kind_of(status: os.stat_result) -> str:
    """What is there if it is no file: `a FIFO`; "" if it is one."""
    return "" if stat.S_ISREG(status.st_mode) else KINDS.get(stat.S_IFMT(status.st_mode), "not a file")


def _opened_file(path: Path, stack: contextlib.ExitStack) -> IO[bytes]:
    """The file as Pillow is to read it, which `stack` will close. Raises ImageError or OSError.

    A file object, not a path: Pillow maps a file that it opens itself.
    """
    status = path.stat()  # opening a device may do something already
    if kind := kind_of(status):
        raise ImageError(f"{kind}, not an image file")
    if status.st_size > MOST_BYTES:
        raise ImageError(f"too large a file: more than {MOST_BYTES:,} bytes")
    if status.st_size > LARGE_BYTES:
        stack.enter_context(_one_at_a_time)
    return stack.enter_context(io.BufferedReader(_Unmapped(_without_waiting(path))))


def _pixels_at_once(image: Image.Image) -> int:
    """The pixels that its decoder holds; a tile of a TIFF may be larger than all of the image."""
    tags = getattr(image, "tag_v2", {})
    sides = [tags.get(tag, 0) for tag in TILE]
    across, down = (int(max(side) if isinstance(side, tuple) else side) for side in sides)
    return max(image.width * image.height, across * down)


def _check_scans(file: IO[bytes], pixels: int) -> None:
    """Raises ImageError if a progressive JPEG, of some hundred bytes a scan, would be decoded for hours."""
    place = file.tell()
    file.seek(0)
    scans = file.read(MOST_BYTES).count(START_OF_SCAN)
    file.seek(place)
    if scans * pixels > MOST_SCANNED:
        raise ImageError(f"too many scans: {scans:,} of {pixels:,} pixels")


def _without_waiting(path: Path) -> int:
    """Open a file; whoever has put a FIFO there meanwhile does not keep us waiting."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


def _reason(error: Exception) -> str:
    """One line, without the path."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(said.split()) or type(error).__name__
