"""Reading images through a cache, with every pixel checked."""

import os
import time
from pathlib import Path

import numpy as np

from dfal_cli.images import DecodedImage, InputFormat, cached, decode_image, in_batches, read_batches, read_from_disk
from dfal_cli.system.reporting import Silent

SHAPE = (1, 16, 16)
FORMAT = InputFormat(SHAPE)
BYTES = 256


def names(root: Path = Path("images")) -> list[str]:
    return sorted(path.name for path in root.iterdir())


class Counting:
    """Decodes, and notes what."""

    def __init__(self) -> None:
        self.decoded: list[str] = []

    def __call__(self, root: Path, image: str, input_format: InputFormat) -> DecodedImage:
        picture = read_from_disk(root, image, input_format)
        self.decoded.append(image)
        return picture


def read(
    images: list[str] | None = None,
    *,
    limit: str = "1GB",
    reporter: Silent | None = None,
    root: str = "images",
    shape: tuple[int, int, int] = SHAPE,
    white: float | None = None,
    folder: str = "cache",
) -> list[str]:
    """Read images through the cache, check every pixel of them, and return those that were decoded."""
    counting = Counting()
    images = names(Path(root)) if images is None else images
    with cached(Path(folder), limit, counting, reporter or Silent()) as reader:
        for batch in read_batches(Path(root), in_batches(images, 7), InputFormat(shape, white), 3, reader):
            assert not batch.unreadable
            for image, pixels in zip(batch.images, batch.pixels, strict=True):
                np.testing.assert_array_equal(pixels, decode_image(Path(root, image), shape, white))
    return sorted(counting.decoded)


def segments() -> list[Path]:
    return sorted(Path("cache").glob("*/*.pixels"))


def size_of_cache() -> int:
    return sum(path.stat().st_size for path in segments())


def age(seconds: float) -> None:
    """Make all segments that much older."""
    for path in segments():
        os.utime(path, times=(time.time() - seconds,) * 2)
