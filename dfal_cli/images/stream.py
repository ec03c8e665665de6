"""A stream of decoded batches: decoding runs in parallel with computing, and memory use is independent of pool size."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from dfal_cli.images.decode import DecodedImage, InputFormat, Pixels, read_image
from dfal_cli.images.opening import ImageError
from dfal_cli.images.roots import resolve_image
from dfal_cli.images.white import MaxValues
from dfal_cli.system.image_roots import ImageRoot
from dfal_cli.system.processes import cores

MOST_WORKERS = 8


def worker_count(workers: int | None) -> int:
    """Return the number of decoding threads: `workers`, or by default one per core, up to MOST_WORKERS."""
    return min(cores(), MOST_WORKERS) if workers is None else workers


class ImageReader(Protocol):
    """A function that decodes an image, given by its path relative to the image root."""

    def __call__(self, root: ImageRoot, image: str, input_format: InputFormat) -> DecodedImage:
        """Decode the image. Raises ImageError."""


class StoredImages(NamedTuple):
    """Where the decoded images of a batch lie in a file that does not change, and that other batches are read from."""

    file: Path
    total: int
    """Number of images in the file."""
    rows: npt.NDArray[np.intp]
    """(B,)"""


class DecodedBatch(NamedTuple):
    """A batch of decoded images, in the requested order."""

    images: list[str]
    """Paths of the B readable images."""
    pixels: Pixels
    """(B, C, H, W) uint8."""
    unreadable: list[tuple[str, str]]
    """Path and reason of each unreadable image."""
    max_values: MaxValues
    """Of the images of more than 8 bits in this batch."""
    stored: StoredImages | None = None


def read_from_disk(
    root: ImageRoot, image: str, input_format: InputFormat, *, follow_links: bool = False
) -> DecodedImage:
    """Decode an image from its file, without a cache."""
    return read_image(resolve_image(root, image, follow_links=follow_links), input_format)


def in_batches(images: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Yield the images in batches of `size`; the last one may be smaller."""
    return (images[start : start + size] for start in range(0, len(images), size))


def read_batches(
    root: ImageRoot,
    batches: Iterable[Sequence[str]],
    input_format: InputFormat,
    workers: int | None = None,
    reader: ImageReader = read_from_disk,
) -> Iterator[DecodedBatch]:
    """Yield batches of images, decoded ahead by `workers` threads (`worker_count`).

    The next batch is taken from `batches` when a thread is free, not before. workers: 0 decodes in the calling thread.
    Threads suffice because decoders release the interpreter lock; unlike processes they need no start-up and no
    pickling.
    """
    workers = worker_count(workers)

    def read(batch: Sequence[str]) -> DecodedBatch:
        return _read_batch(root, batch, input_format, reader)

    if workers == 0:
        yield from map(read, batches)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as threads:
        ahead: deque[Future[DecodedBatch]] = deque()
        try:
            for batch in batches:
                ahead.append(threads.submit(read, batch))
                if len(ahead) > workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


def _read_batch(root: ImageRoot, batch: Sequence[str], input_format: InputFormat, reader: ImageReader) -> DecodedBatch:
    images, pixels, unreadable, max_values = [], [], [], []
    for image in batch:
        try:
            decoded = reader(root, image, input_format)
            pixels.append(decoded.pixels)
            images.append(image)
            if decoded.max_value is not None:
                max_values.append(decoded.max_value)
        except ImageError as error:
            unreadable.append((image, str(error)))
    stacked = np.stack(pixels) if pixels else np.empty((0, *input_format.shape), np.uint8)
    return DecodedBatch(images, stacked, unreadable, np.array(max_values, np.float64))
