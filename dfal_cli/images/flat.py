"""Images in which there is nothing to see once they are decoded."""

import numpy as np
import numpy.typing as npt

from dfal_cli.images.decode import Pixels


def are_flat(pixels: Pixels) -> npt.NDArray[np.bool_]:
    """Which images, (B, C, H, W), have one and the same colour everywhere: (B,)."""
    images, channels, height, width = pixels.shape
    planes = pixels.reshape(images, channels, height * width)
    flat: npt.NDArray[np.bool_] = (planes.min(axis=2) == planes.max(axis=2)).all(axis=1)
    return flat


def flat_in_words(count: int, total: int) -> str:
    """What to say of so many of them, and why it may be."""
    return (
        f"{count:,} of {total:,} images {'is' if count == 1 else 'are'} one flat colour when decoded: "
        "blank, too dark for 8 bits, or white on transparency, which becomes white"
    )
