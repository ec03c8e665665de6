"""The device, and pixels on their way to it."""

import pytest
import torch

from dfal_cli.system.device import on_device, tf32


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
