"""Images as a person looks at them: upright, at the size of a screen, in a format that every browser shows."""

import contextlib
import io
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from dfal_cli.images.decode import (
    MODES_OVER_8_BITS,
    SCALED_BY_DECODER,
    InputFormat,
    on_background,
    orientation_of,
    probe_image,
    read_image,
    scaled_to_8_bits,
)
from dfal_cli.images.files import ImageFile, contents_of, state_of
from dfal_cli.images.opening import ImageError, opened_image
from dfal_cli.images.white import common_white

QUALITY = 88
"""JPEG quality of pictures for the screen."""

EXACT_SIDE = 512
"""Maximum side, in pixels, of pictures that are encoded without loss: single pixels of small images matter."""

SHOWN_BY_BROWSERS = {"JPEG": "image/jpeg", "PNG": "image/png", "GIF": "image/gif", "WEBP": "image/webp"}
"""Formats that every browser shows, turned as EXIF says -> their media types."""

MOST_RELATIVE = 2.0
"""Maximum white of floats that are fractions of it, not counts as integers are."""

MOST_ORIGINAL_BYTES = 100_000_000
"""Maximum size of a file that is sent to a browser as it is."""


class Picture(NamedTuple):
    """An encoded image."""

    content: bytes
    media_type: str


class Whites(NamedTuple):
    """The white of each kind of image of more than 8 bits; None: the full scale of its mode."""

    integers: float | None = None
    floats: float | None = None

    def of(self, file: ImageFile) -> float | None:
        """Return the white of an image. Raises ImageError."""
        return self.floats if probe_image(file).floats else self.integers


def whites_of(images: Iterable[str], file_of: Callable[[str], ImageFile], white: float | None = None) -> Whites:
    """Return the whites that fit these images: one for all, unless floats from 0 to 1 would be black beside integers.

    file_of: returns the file of an image. Images for which it raises ImageError, or that cannot be read, do not count.
    white: that of counts, or, if it is at most MOST_RELATIVE, of fractions; None: both are found from the images.
    """
    largest: dict[bool, list[float]] = {False: [], True: []}
    for image in images:
        with contextlib.suppress(ImageError):
            file = file_of(image)
            probe = probe_image(file)
            if probe.over_8_bits:
                largest[probe.floats].append(read_image(file, InputFormat((1, 1, 1))).max_value or 0.0)

    def common(max_values: list[float], *, are_fractions: bool) -> float | None:
        if white is not None and (white <= MOST_RELATIVE) == are_fractions:
            return white
        return common_white(np.array(max_values)) if max_values else None

    of_floats = common_white(np.array(largest[True]))
    if largest[True] and of_floats <= MOST_RELATIVE:
        return Whites(common(largest[False], are_fractions=False), common(largest[True], are_fractions=True))
    of_counts = common(largest[False] + largest[True], are_fractions=False)
    return Whites(of_counts, of_counts)


def for_screen(file: ImageFile, side: int, white: float | None) -> Picture:
    """Return an encoded `upright_image`. Raises ImageError."""
    return _encoded(upright_image(file, side, white))


def upright_image(file: ImageFile, side: int, white: float | None) -> Image.Image:
    """Return an image, L or RGB, at most `side` pixels wide and high, never enlarged; `white` as for a network's input.

    Its colour profile, if it has one, is in `info["icc_profile"]`. Raises ImageError.
    """
    with opened_image(file) as image:
        turned = orientation_of(image) > 1
        profile = image.info.get("icc_profile") if image.mode in ("RGB", "L") else None
        if image.format in SCALED_BY_DECODER:
            scale = min(1.0, side / max(image.size))  # JPEGs are decoded at a half, a quarter or an eighth above it
            image.draft(None, (int(image.width * scale), int(image.height * scale)))
        upright = ImageOps.exif_transpose(image) if turned else image
        shown = on_background(scaled_to_8_bits(upright, white)[0])
        if shown.mode not in ("L", "RGB"):
            shown = shown.convert("L" if shown.mode in ("1", "LA") else "RGB")
        shown.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)
        shown.load()  # the file is closed afterwards
        shown.info = {"icc_profile": profile} if profile else {}
        return shown


def original(file: ImageFile, white: float | None) -> Picture:
    """Return an image in its full size: the file itself if browsers show it as it is. Raises ImageError."""
    with opened_image(file) as image:
        media_type = SHOWN_BY_BROWSERS.get(image.format or "")
        if media_type and image.mode not in MODES_OVER_8_BITS and _is_small(file):
            return Picture(contents_of(file), media_type)
        side = max(image.size)
    return for_screen(file, side, white)


def _is_small(file: ImageFile) -> bool:
    state = state_of(file)
    return state is not None and state.size <= MOST_ORIGINAL_BYTES


def _encoded(image: Image.Image) -> Picture:
    buffer, profile = io.BytesIO(), image.info.get("icc_profile")
    if max(image.size) <= EXACT_SIDE and not profile:
        image.save(buffer, "PNG")
        return Picture(buffer.getvalue(), "image/png")
    image.save(buffer, "JPEG", quality=QUALITY, icc_profile=profile)
    return Picture(buffer.getvalue(), "image/jpeg")
