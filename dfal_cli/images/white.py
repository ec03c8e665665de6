"""Which value is white in images of more than 8 bits: one for all images that a network sees, so that they compare."""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from dfal_cli.errors import UsageError
from dfal_cli.images.shape import FEW

SCALES = (1.0, 255.0, 1023.0, 4095.0, 16_383.0, 65_535.0)
"""Floats from 0 to 1, and integers of 8, 10, 12, 14 and 16 bits."""

MaxValues = npt.NDArray[np.float64]
"""The largest value of each image of more than 8 bits among some images; (n,)."""

NO_MAX_VALUES: MaxValues = np.empty(0)
"""Of images of 8 bits."""


def check_white(white: float | None) -> None:
    """Raises UsageError if no image can have that value, or any brightness by it."""
    if white is not None and not 0 < white < math.inf:
        raise UsageError(f"--white {white:g}: name a positive number, such as 4095 for images of 12 bits")


def white_of(largest: float) -> float:
    """The white of images of which the brightest pixel has this value: that of their scale if they use half of it."""
    scale = next((scale for scale in SCALES if largest <= scale), largest)
    return scale if largest > scale / 2 else largest or 1.0


def common_white(largest: MaxValues) -> float:
    """The white of images with these largest values: of the scale that nine of ten have, else of the brightest of all.

    Thus one broken pixel does not make all images dark; the few that are brighter are cut off.
    """
    if not len(largest):
        return white_of(0)
    ordered = np.sort(largest)
    most, brightest = ordered[-1 - len(ordered) // FEW], ordered[-1]
    has_scale = most > 0 and white_of(most) in SCALES
    return white_of(float(most if has_scale else brightest))


def scale_warnings(largest: MaxValues, white: float | None) -> Iterator[str]:
    """What to say of images that do not fit the scale; `white` is None if it was settled without any of their kind."""
    if white is None:
        unlike = len(largest)
        said = "more than 8 bits, unlike those of the training: they are scaled by the full range of their kind"
    else:
        unlike = int((largest > white).sum())
        said = f"values above {white:g}, the white of the training (--white): they are cut off there"
    if unlike:
        yield f"{unlike} images have {said}" if unlike > 1 else f"1 image has {said}"
