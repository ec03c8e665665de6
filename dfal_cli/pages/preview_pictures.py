"""The pictures of a preview page: images, twins and their differences, each as a data: URI of limited size."""

import base64
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from dfal_cli.images import ImageError, ImageFile, InputFormat, Resize, resolve_image
from dfal_cli.images.decode import read_image
from dfal_cli.images.screen import Whites, upright_image, whites_of
from dfal_cli.system.image_roots import ImageRoot
from dfal_cli.tables.twins import TwinError, read_twin

PAGE_BYTES = 4_200_000
"""Bytes that all pictures of a page may take together; base64 makes a third more of them."""

LEAST_BYTES, MOST_BYTES = 12_000, 160_000
"""Limits of the share of one query: a page of very many queries becomes larger, one of few does not need to be."""

TWIN_SHARE = 0.2
"""Share of a query's bytes for its twin, and the same for the difference of the two."""

EXACT_SIDE, EXACT_BYTES = 256, 16_000
"""Images of at most this side (in pixels) whose PNG is at most this large are shown exactly."""

TINY_SIDE = 160
"""Images of at most this side are enlarged to squares of pixels, without smoothing."""

SIDES_AND_QUALITIES = (
    (1024, 80), (800, 75), (640, 70), (512, 65), (448, 55), (384, 45), (320, 40), (224, 30), (160, 25), (112, 20),
)  # fmt: skip
"""Maximum side, in pixels, and quality of a photo; the first pair that is small enough is used."""


class Picture(NamedTuple):
    """A picture of the page."""

    source: str = ""
    """data: URI, or "" if there is none."""
    is_tiny: bool = False
    """Whether it is to be enlarged without smoothing."""


class TwinPictures(NamedTuple):
    """A twin and its difference to the image."""

    twin: Picture = Picture()
    difference: Picture = Picture()
    amplified: str = ""
    """The factor by which the difference is amplified, around grey."""


class Images(NamedTuple):
    """The images of the page."""

    root: ImageRoot
    follow_links: bool
    white: float | None
    """Of the network; None if it saw no images of more than 8 bits, or if there is none yet."""
    resize: Resize
    """How images are brought to the input shape."""
    limit: int
    """Maximum number of bytes of one query's pictures, if they are not tiny."""
    whites: Whites = Whites()
    """For people: floats from 0 to 1 have their own scale, on which they are not black beside integers."""

    def file(self, image: str) -> ImageFile:
        """Return the file of an image. Raises ImageError if it is not under the root."""
        return resolve_image(self.root, image, follow_links=self.follow_links)

    def with_whites_of(self, images: Iterable[str]) -> Self:
        """Return a copy with the whites that fit these images."""
        return self._replace(whites=whites_of(images, self.file, self.white))

    def picture(self, image: str, *, beside_twin: bool) -> Picture:
        """Return an image, in its own proportions and not enlarged. Raises ImageError."""
        largest, _ = SIDES_AND_QUALITIES[0]
        share = 1 - 2 * TWIN_SHARE if beside_twin else 1.0
        file = self.file(image)
        return _encoded(upright_image(file, largest, self.whites.of(file)), int(share * self.limit))

    def twin_pictures(self, image: str, twin_file: Path, input_shape: list[int]) -> TwinPictures:
        """Return the twin, and its amplified difference to the image; nothing if one of them cannot be read."""
        channels, height, width = input_shape
        try:
            twin = read_twin(twin_file, input_shape)  # (C, H, W) in units of [0, 1]
            input_format = InputFormat((channels, height, width), self.white, self.resize)
            difference = twin - read_image(self.file(image), input_format).pixels / np.float32(255)
        except (TwinError, ImageError):
            return TwinPictures()
        factor = 0.5 / max(float(np.abs(difference).max()), 1e-12)
        limit = int(TWIN_SHARE * self.limit)
        return TwinPictures(
            _encoded(_as_image(twin), limit),
            _encoded(_as_image(0.5 + factor * difference), limit),
            f"{float(f'{factor:.2g}'):,g}",
        )


def limit_of(queries: int) -> int:
    """Return the maximum number of bytes of the pictures of one query."""
    return min(max(PAGE_BYTES // max(queries, 1), LEAST_BYTES), MOST_BYTES)


def _as_image(pixels: npt.NDArray[np.floating[Any]]) -> Image.Image:
    """Return an image of (C, H, W) pixels in [0, 1], which may leave the box by a little."""
    rounded = (pixels.clip(0, 1) * 255).round().astype(np.uint8)
    return Image.fromarray(rounded[0] if len(rounded) == 1 else rounded.transpose(1, 2, 0))


def _encoded(image: Image.Image, limit: int) -> Picture:
    """Encode an image: exactly if its pixels are few, else as a photo of at most `limit` bytes, if possible."""
    is_tiny = max(image.size) <= TINY_SIDE
    if max(image.size) <= EXACT_SIDE:
        exact = _bytes_of(image, "PNG", optimize=True)
        if len(exact) <= EXACT_BYTES:
            return Picture(_data_uri("png", exact), is_tiny)
    content = b""
    for side, quality in SIDES_AND_QUALITIES:
        scaled = image.copy()
        scaled.thumbnail((side, side))
        content = _bytes_of(scaled, "WEBP", quality=quality, method=2)
        if len(content) <= limit:
            break
    return Picture(_data_uri("webp", content), is_tiny)


def _bytes_of(image: Image.Image, kind: str, **settings: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, icc_profile=image.info.get("icc_profile"), **settings)
    return buffer.getvalue()


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
