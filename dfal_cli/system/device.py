"""The device that computes, batches that fit into its memory, and pixels that stay in it."""

import contextlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from dfal_cli.errors import TryAgainError, UsageError, plural
from dfal_cli.system.reporting import Reporter

Result = TypeVar("Result")

VALUES_PER_BATCH = {"cpu": 2**20, "cuda": 2**24}
"""Pixel values in the first batch that is tried. The number is small for CPUs because of their small caches."""

MAX_BATCH = {"cpu": 256, "cuda": 4096}

KEPT_SHARE = 0.125
"""Maximum share of a GPU's free memory for the pixels of a file that stay there."""


def choose_device(name: str) -> torch.device:
    """Return the named device; `auto` is the GPU if there is one. Raises UsageError if the device does not exist.

    A GPU that is named by its number becomes the current one, so that nothing is allocated on another.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"--device {name}: use auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise UsageError(
            f"--device {name}: this machine has {count} CUDA {plural(count, 'device')}; use --device auto or cpu"
        )
    if device.type not in VALUES_PER_BATCH:
        raise UsageError(f"--device {name}: use auto, cpu, cuda or cuda:N")
    if name.startswith("cuda:"):
        torch.cuda.set_device(device)
    return device


def on_device(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy a CPU tensor to `device`; to a GPU through pinned memory, without waiting for the copy to end."""
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)  # torch reuses pinned memory only after the copy


class KeptPixels:
    """Pixels of one file that stay on a GPU: each image is copied there at most once."""

    def __init__(self, shape: tuple[int, ...], device: torch.device) -> None:
        """shape: (N, C, H, W), of all images in the file."""
        self._there = torch.empty(shape, dtype=torch.uint8, device=device)
        self._is_there = np.zeros(shape[0], bool)

    def of(self, rows: npt.NDArray[np.intp], pixels: npt.NDArray[np.uint8]) -> torch.Tensor:
        """Return images on the GPU; rows: (B,), of the file; pixels: (B, C, H, W), of these rows."""
        new, device = ~self._is_there[rows], self._there.device
        if new.any():
            self._there[_copied(rows[new], device)] = _copied(pixels[new], device)
            self._is_there[rows] = True
        return self._there[_copied(rows, device)]


_kept: dict[tuple[Path, torch.device], KeptPixels | None] = {}
"""Pixels on GPUs, by their file; None if there is no room for them."""


def kept_pixels(file: Path, shape: tuple[int, ...], device: torch.device) -> KeptPixels | None:
    """Return what stays of a file on a GPU while this process lives; None if that would take much of its free memory.

    shape: (N, C, H, W), of all images in the file, uint8.
    """
    if device.type != "cuda":
        return None
    if (file, device) not in _kept:
        fits = math.prod(shape) <= KEPT_SHARE * torch.cuda.mem_get_info(device)[0]
        _kept[file, device] = KeptPixels(shape, device) if fits else None
    return _kept[file, device]


def release_kept_pixels() -> bool:
    """Free the memory of all pixels that stay on GPUs, and keep none of their files again; False if there are none."""
    if not any(_kept.values()):
        return False
    _kept.update(dict.fromkeys(_kept))
    torch.cuda.empty_cache()
    return True


def _copied(values: npt.NDArray[Any], device: torch.device) -> torch.Tensor:
    return on_device(torch.from_numpy(values), device)


@contextlib.contextmanager
def tf32(*, allowed: bool) -> Iterator[None]:
    """Allow GPUs to round the factors of convolutions and matrix products to TF32 in the block, or forbid it.

    That is several times faster and does training no harm, but it would reorder the smallest margins.
    """
    switches: tuple[Any, ...] = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [switch.allow_tf32 for switch in switches]
    try:
        for switch in switches:
            switch.allow_tf32 = allowed
        yield
    finally:
        for switch, was_allowed in zip(switches, before, strict=True):
            switch.allow_tf32 = was_allowed


def first_batch_size(device: torch.device, input_shape: tuple[int, int, int]) -> int:
    """Return the first batch size to try for images of this shape; `FittingBatches` halves it when memory runs out."""
    return max(1, min(MAX_BATCH[device.type], VALUES_PER_BATCH[device.type] // math.prod(input_shape)))


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out, on a GPU or in torch's CPU allocator, which raises a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    )


class BatchSizes(NamedTuple):
    """The two sizes that determine where batches begin."""

    read: int
    """Number of images read at a time."""
    computed: int
    """Number of images computed at a time; less than `read` after memory ran out."""


class FittingBatches:
    """Applies a function to images in batches that fit into memory, and remembers the size that fits."""

    def __init__(self, size: int, reporter: Reporter, computed: int | None = None) -> None:
        """computed: a smaller size that is known to fit, if there is one."""
        self.read = size
        self.size = computed or size
        self._reporter = reporter

    @property
    def sizes(self) -> BatchSizes:
        """The current sizes."""
        return BatchSizes(self.read, self.size)

    def apply(self, function: Callable[[torch.Tensor], Result], images: torch.Tensor) -> list[Result]:
        """Return the results of the function for images[:size], images[size:2*size], ...

        images: (B, C, H, W). Raises TryAgainError if even a single image does not fit.
        """
        results: list[Result] = []
        done = 0
        while done < len(images):
            batch = images[done : done + self.size]
            try:
                results.append(function(batch))
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                if not release_kept_pixels():
                    self._halve()
            else:
                done += len(batch)
        return results

    def _halve(self) -> None:
        if self.size == 1:
            raise TryAgainError(
                "out of memory even at batch size 1; try again when the device is free, or use --device cpu"
            )
        self.size //= 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._reporter.note(f"out of memory: batch size is now {self.size}")
