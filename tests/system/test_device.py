"""The device, and pixels on their way to it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from dfal_cli.system import device
from dfal_cli.system.device import FittingBatches, KeptPixels, kept_pixels, on_device, tf32
from dfal_cli.system.reporting import Silent
from tests.pretended_gpu import GPU, PretendedGpu

FILE, PIXELS = Path("images.npy"), np.arange(30 * 12, dtype=np.uint8).reshape(30, 3, 2, 2)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendedGpu]:
    """A pretended GPU on which nothing is kept yet."""
    monkeypatch.setattr(device, "_kept", {})
    with PretendedGpu() as pretended:
        yield pretended


def kept() -> KeptPixels | None:
    return kept_pixels(FILE, PIXELS.shape, GPU)


@pytest.mark.parametrize("batches", [[[3, 1, 29], [1, 4]], [[0, 0], [0]]])
def test_kept_pixels_are_those_asked_for_and_are_copied_once(gpu: PretendedGpu, batches: list[list[int]]) -> None:
    for rows in batches:
        pixels = kept()
        assert pixels is not None
        found = pixels.of(np.array(rows), PIXELS[rows])
        assert gpu.has(found)
        np.testing.assert_array_equal(found.cpu(), PIXELS[rows])
    assert kept() is pixels
    gpu.copied.clear()
    pixels.of(np.array(batches[0]), np.zeros_like(PIXELS[batches[0]]))
    assert sum(gpu.copied.values()) == 8 * len(batches[0]), "the indices only"


def test_pixels_are_not_kept_on_a_cpu_nor_on_a_gpu_with_little_memory(gpu: PretendedGpu) -> None:
    assert kept_pixels(FILE, PIXELS.shape, torch.device("cpu")) is None
    gpu.free_memory = 8 * PIXELS.nbytes - 1
    assert kept() is None


def test_when_memory_runs_out_kept_pixels_go_first_and_then_batches_are_halved(gpu: PretendedGpu) -> None:
    pixels, sizes = kept(), []

    def compute(images: torch.Tensor) -> None:
        sizes.append(len(images))
        if len(sizes) <= 2:
            raise torch.OutOfMemoryError

    assert pixels is not None
    FittingBatches(4, Silent()).apply(compute, torch.zeros(4, 1))
    assert sizes == [4, 4, 2, 2]
    assert kept() is None, "not again"


def test_on_the_cpu_pixels_are_not_copied() -> None:
    pixels = torch.arange(6, dtype=torch.uint8)
    assert on_device(pixels, torch.device("cpu")) is pixels


@pytest.mark.parametrize("allowed", [False, True])
def test_the_precision_of_gpus_is_what_it_was_after_the_block(allowed: bool) -> None:
    switches = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [switch.allow_tf32 for switch in switches]
    with pytest.raises(ZeroDivisionError), tf32(allowed=allowed):
        assert [switch.allow_tf32 for switch in switches] == [allowed, allowed]
        raise ZeroDivisionError
    assert [switch.allow_tf32 for switch in switches] == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here: copies through pinned memory")
def test_pixels_reach_a_gpu_as_they_are_though_their_memory_is_used_again_at_once() -> None:
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randint(256, (512, 3, 64, 64), dtype=torch.uint8, generator=generator) for _ in range(8)]
    there = [on_device(batch.clone(), torch.device("cuda")) for batch in batches]
    assert all(torch.equal(batch, copy.cpu()) for batch, copy in zip(batches, there, strict=True))
