"""The images of a query list as pictures for browsers."""

import functools
import os
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from dfal_cli.images import ImageFile, probe_image, resolve_image
from dfal_cli.images.files import state_of
from dfal_cli.images.screen import Picture, Whites, for_screen, original, whites_of
from dfal_cli.system.fingerprints import FileState
from dfal_cli.tables import ImageNames

SIDES = (256, 512, 1024, 1600, 2400, 3600)
"""Sides, in pixels, at which pictures are made; few, so that they can be kept."""

KEPT = 100
"""Number of pictures that are kept in memory."""

NICENESS = 4

LOOKED_AT = 64
"""Number of images of more than 8 bits from which their scale is found."""


class Photos:
    """Makes the pictures. Thread-safe."""

    def __init__(self, names: ImageNames, white: float | None, images: Sequence[str], *, follow_links: bool) -> None:
        """`white`: pixel value of white in images of more than 8 bits; None: found from `images`."""
        self._names, self._white, self._follow_links = names, white, follow_links
        self._decoders = ThreadPoolExecutor(os.cpu_count(), "picture", _give_way)
        self._finding_white = threading.Lock()
        self._whites: Whites | None = None
        self._kept = functools.lru_cache(KEPT)(self._made)
        self._images = images

    def picture(self, image: str, side: int) -> Picture:
        """Return an image for a screen on which it may be `side` pixels wide and high. Raises ImageError."""
        file = self._file(image)
        return self._kept(file, next((each for each in SIDES if each >= side), SIDES[-1]), state_of(file))

    def original(self, image: str) -> Picture:
        """Return an image in its full size. Raises ImageError."""
        file = self._file(image)
        return self._decoders.submit(lambda: original(file, self._white_for(file))).result()

    def _file(self, image: str) -> ImageFile:
        return resolve_image(self._names.root, self._names.on_disk(image), follow_links=self._follow_links)

    def _made(self, file: ImageFile, side: int, state: FileState | None) -> Picture:
        return self._decoders.submit(lambda: for_screen(file, side, self._white_for(file))).result()

    def _white_for(self, file: ImageFile) -> float | None:
        """Return the white for an image of more than 8 bits: that of its kind in images taken evenly from the list."""
        if not probe_image(file).over_8_bits:
            return None
        with self._finding_white:
            step = max(1, len(self._images) // LOOKED_AT)
            self._whites = self._whites or whites_of(self._images[::step], self._file, self._white)
        return self._whites.of(file)


def _give_way() -> None:
    """Lower the priority of this thread: pictures are made in advance, but a person waits for an answer to be saved."""
    if sys.platform == "linux":  # elsewhere, only processes have priorities
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
