"""Bringing an image to the size of a network's input: stretched, cropped to its centre, or padded."""

from typing import Any, NamedTuple

from PIL import Image

Size = tuple[int, int]
"""(width, height)"""

WAYS = STRETCHED, CROPPED, PADDED = "stretch", "crop", "pad"

INTERPOLATIONS = ("bilinear", "bicubic", "lanczos", "nearest", "box", "hamming")
"""Those of Pillow."""

PADDING = 127
"""Grey level beside a padded image, near the mean that networks subtract."""


class Resize(NamedTuple):
    """How an image is brought to the size of the input."""

    how: str = STRETCHED
    """stretch: the whole image, its aspect ratio changed; crop: its centre; pad: the whole image on grey."""
    shorter_side: int | None = None
    """Length to which the shorter side is scaled before the crop; None: that of the input."""
    interpolation: str = "bilinear"


STRETCH = Resize()

LONGEST_SIDE = 100_000
"""Maximum plausible shorter side."""


def resize_of(stored: Any) -> Resize | None:
    """Return the Resize that metadata hold as a dict; STRETCH if they hold None, None if it is not valid."""
    match stored:
        case None:
            return STRETCH
        case {"how": str(how), "shorter_side": None | int() as side, "interpolation": str(interpolation)}:
            if how in WAYS and interpolation in INTERPOLATIONS and (side is None or 0 < side <= LONGEST_SIDE):
                return Resize(how, side, interpolation)
    return None


def scaled_size(size: Size, wanted: Size, resize: Resize) -> Size:
    """Return the size to which an image of this size is scaled before it is cropped or padded to the wanted size.

    For a crop to a square it is that of torchvision's `Resize(shorter_side)`.
    """
    if resize.how == STRETCHED:
        return wanted
    (width, height), (across, down) = size, wanted
    if resize.how == PADDED:
        scale = min(across / width, down / height)
        return max(1, round(width * scale)), max(1, round(height * scale))
    zoom = (resize.shorter_side or min(wanted)) / min(wanted)
    if width * down <= height * across:  # the image is narrower than the input
        fitted = round(across * zoom)
        return fitted, int(fitted * height / width)
    fitted = round(down * zoom)
    return int(fitted * width / height), fitted


def resized(
    image: Image.Image, extent: tuple[float, float], scaled: Size, wanted: Size, interpolation: str
) -> Image.Image:
    """Scale an image, and return the centre of the result, at most of the wanted size.

    extent: width and height of the part of the image that is scaled, from its upper left corner.
    """
    width, height = min(scaled[0], wanted[0]), min(scaled[1], wanted[1])
    left, top = round((scaled[0] - width) / 2), round((scaled[1] - height) / 2)
    box = (
        left * extent[0] / scaled[0],
        top * extent[1] / scaled[1],
        (left + width) * extent[0] / scaled[0],
        (top + height) * extent[1] / scaled[1],
    )
    return image.resize((width, height), Image.Resampling[interpolation.upper()], box=box)


def padded(image: Image.Image, wanted: Size) -> Image.Image:
    """Return a grey or RGB image in the middle of a canvas of the wanted size."""
    if image.size == wanted:
        return image
    canvas = Image.new(image.mode, wanted, (PADDING,) * len(image.getbands()))
    canvas.paste(image, ((wanted[0] - image.width) // 2, (wanted[1] - image.height) // 2))
    return canvas
