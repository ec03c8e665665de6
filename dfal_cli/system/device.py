"""The device that computes, and batches that fit into its memory."""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import torch

from dfal_cli.errors import TryAgainError, UsageError
from dfal_cli.system.reporting import Reporter

Answer = TypeVar("Answer")

VALUES_PER_BATCH = {"cpu": 2**20, "cuda": 2**24}
"""Pixel values a first guess at the batch puts into one: kept small on a CPU, whose caches are small."""

LARGEST_BATCH = {"cpu": 256, "cuda": 4096}


def choose_device(name: str) -> torch.device:
    """`auto` is the GPU if there is one. Raises UsageError if the named device is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"--device {name}: use auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"--device {name}: {torch.cuda.device_count()} CUDA devices here; use --device auto or cpu")
    if device.type not in VALUES_PER_BATCH:
        raise UsageError(f"--device {name}: use auto, cpu, cuda or cuda:N")
    return device


def on_device(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The CPU tensor on `device`. To a GPU it goes through pinned memory, so that nobody waits for the copy to end."""
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)  # torch reuses that memory only when the copy has ended


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """In the block a GPU convolves in float32: the 10 bits of TF32, its default, would reorder the smallest margins."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def first_batch_size(device: torch.device, input_shape: tuple[int, int, int]) -> int:
    """A batch size to begin with for images of this shape; `FittingBatches` halves it where it is too much."""
    return max(1, min(LARGEST_BATCH[device.type], VALUES_PER_BATCH[device.type] // math.prod(input_shape)))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is memory running out, on a GPU or in torch's CPU allocator (a plain RuntimeError there)."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    )


class BatchSizes(NamedTuple):
    """Where batches begin hangs on both."""

    read: int
    """So many images are read at a time."""
    computed: int
    """Of those, so many are computed at a time: fewer than were read where memory has run out."""


class FittingBatches:
    """Applies a function to images in batches that fit; remembers the size that did."""

    def __init__(self, size: int, reporter: Reporter, computed: int | None = None) -> None:
        """computed: the size that is known to fit, if it is less."""
        self.read = size
        self.size = computed or size
        self._reporter = reporter

    @property
    def sizes(self) -> BatchSizes:
        """As they are by now."""
        return BatchSizes(self.read, self.size)

    def apply(self, function: Callable[[torch.Tensor], Answer], images: torch.Tensor) -> list[Answer]:
        """Return the answers for images[:size], images[size:2*size], ...

        images: (B, C, H, W). Raises TryAgainError if even one image does not fit.
        """
        answers: list[Answer] = []
        done = 0
        while done < len(images):
            batch = images[done : done + self.size]
            try:
                answers.append(function(batch))
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                self._halve()
            else:
                done += len(batch)
        return answers

    def _halve(self) -> None:
        if self.size == 1:
            raise TryAgainError(
                "out of memory even at batch size 1; try again when the device is free, or --device cpu"
            )
        self.size //= 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._reporter.note(f"out of memory: batch size is now {self.size}")
