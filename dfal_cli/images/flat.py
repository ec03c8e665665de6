"""Flat images: images that show nothing once they are decoded."""

import numpy as np
import numpy.typing as npt

from dfal_cli.errors import plural
from dfal_cli.images.decode import Pixels


def are_flat(pixels: Pixels) -> npt.NDArray[np.bool_]:
    """Return for each image, (B, C, H, W), whether all its pixels have the same colour: (B,)."""
    images, channels, height, width = pixels.shape
    planes = pixels.reshape(images, channels, height * width)
    flat: npt.NDArray[np.bool_] = (planes.min(axis=2) == planes.max(axis=2)).all(axis=1)
    return flat


def flat_in_words(count: int, total: int) -> str:
    """Return the warning about `count` flat images."""
    return (
        f"{count:,} of {total:,} images {plural(count, 'is', 'are')} one flat colour after decoding: "
        "blank, too dark for 8 bits, or white on a transparent background, which becomes white"
    )
