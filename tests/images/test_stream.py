"""Images in a stream of batches."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dfal_cli.images import DecodedImage, ImageError, InputFormat, in_batches, read_batches

SHAPE = (1, 4, 4)
FORMAT = InputFormat(SHAPE)
IMAGES = [f"{number:03d}.png" for number in range(50)]


class CountingReader:
    """Makes an image of its number; those divisible by 7 cannot be read."""

    def __init__(self) -> None:
        self.calls = 0
        self._lock = threading.Lock()

    def __call__(self, root: Path, image: str, input_format: InputFormat) -> DecodedImage:
        with self._lock:
            self.calls += 1
        number = int(Path(image).stem)
        if number % 7 == 0:
            raise ImageError(f"seven divides {number}")
        time.sleep(0.0005 * (number % 3))  # so that threads overtake each other
        return DecodedImage(np.full(input_format.shape, number, np.uint8), None)


@pytest.mark.parametrize("workers", [0, 1, 3, None])
@pytest.mark.parametrize("size", [1, 8, 100])
def test_batches_are_in_order_for_any_number_of_workers(workers: int | None, size: int) -> None:
    batches = list(read_batches(Path(), in_batches(IMAGES, size), FORMAT, workers, CountingReader()))
    assert [len(batch.images) + len(batch.unreadable) for batch in batches][:-1] == [size] * (len(batches) - 1)
    assert [image for batch in batches for image in batch.images] == [name for name in IMAGES if int(name[:3]) % 7]
    unreadable = [pair for batch in batches for pair in batch.unreadable]
    assert unreadable == [(f"{k:03d}.png", f"seven divides {k}") for k in range(0, 50, 7)]
    for batch in batches:
        assert batch.pixels.shape == (len(batch.images), *SHAPE)
        assert batch.pixels[:, 0, 0, 0].tolist() == [int(name[:3]) for name in batch.images]


def test_a_batch_without_readable_images_is_empty() -> None:
    (batch,) = read_batches(Path(), [["000.png", "007.png"]], FORMAT, 1, CountingReader())
    assert (batch.images, batch.pixels.shape, len(batch.unreadable)) == ([], (0, *SHAPE), 2)


def test_no_images_give_no_batches() -> None:
    assert list(read_batches(Path(), [], FORMAT, 2, CountingReader())) == []


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_only_a_few_batches_are_decoded_ahead_of_their_consumer(workers: int) -> None:
    reader = CountingReader()
    for consumed, _ in enumerate(read_batches(Path(), in_batches(IMAGES, 2), FORMAT, workers, reader), 1):
        time.sleep(0.005)  # the threads would run ahead now if they could
        assert reader.calls <= (consumed + workers + 1) * 2


def decoding_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def take_two(batches: Iterator[object]) -> None:
    next(batches)
    next(batches)


def test_a_consumer_that_stops_early_leaves_no_thread_and_no_work() -> None:
    reader = CountingReader()
    batches = read_batches(Path(), in_batches(IMAGES * 20, 2), FORMAT, 2, reader)
    take_two(batches)
    batches.close()  # type: ignore[attr-defined]
    assert decoding_threads() == []
    assert reader.calls <= 10


def test_an_error_in_a_reader_reaches_the_consumer() -> None:
    def broken(root: Path, image: str, input_format: InputFormat) -> DecodedImage:
        raise MemoryError

    with pytest.raises(MemoryError):
        list(read_batches(Path(), in_batches(IMAGES, 2), FORMAT, 2, broken))
    assert decoding_threads() == []
