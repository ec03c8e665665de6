"""The value of white in images of more than 8 bits: one for all images of a network, so that they are comparable."""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from dfal_cli.errors import UsageError, plural
from dfal_cli.images.shape import FEW

SCALES = (1.0, 255.0, 1023.0, 4095.0, 16_383.0, 65_535.0)
"""White of floats from 0 to 1, and of integers of 8, 10, 12, 14 and 16 bits."""

MaxValues = npt.NDArray[np.float64]
"""(n,): the maximum value of each image of more than 8 bits in a set of images."""

NO_MAX_VALUES: MaxValues = np.empty(0)
"""MaxValues of images of 8 bits."""


def check_white(white: float | None) -> None:
    """Raise UsageError if `white` is not a positive number."""
    if white is not None and not 0 < white < math.inf:
        raise UsageError(f"--white {white:g}: must be a positive number, such as 4095 for images of 12 bits")


def white_of(max_value: float) -> float:
    """Return the white of images with this maximum value: that of the scale they use more than half of, else itself."""
    scale = next((scale for scale in SCALES if max_value <= scale), max_value)
    return scale if max_value > scale / 2 else max_value or 1.0


def common_white(max_values: MaxValues) -> float:
    """Return the white of images with these maximum values.

    It is the white of nine images in ten if that is the white of a scale, else the white of the brightest image. So one
    broken pixel does not darken all images; the few images that are brighter are clipped.
    """
    if not len(max_values):
        return white_of(0)
    ordered = np.sort(max_values)
    typical, brightest = ordered[-1 - len(ordered) // FEW], ordered[-1]
    has_scale = typical > 0 and white_of(typical) in SCALES
    return white_of(float(typical if has_scale else brightest))


def scale_warnings(max_values: MaxValues, white: float | None) -> Iterator[str]:
    """Yield a warning if images do not fit the scale of the training images.

    white: that of the training; None if it had no images of more than 8 bits.
    """
    if white is None:
        count = len(max_values)
        problem = "more than 8 bits, unlike the training images: they are scaled by the full range of their type"
    else:
        count = int((max_values > white).sum())
        problem = f"values above {white:g}, the white of the training (--white): these values are clipped"
    if count:
        yield f"{count} {plural(count, 'image has', 'images have')} {problem}"
