"""Fast max pooling gives the numbers of torch."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from dfal_cli.models import build_network, fast_pooling

POOLINGS = {
    "2 x 2": nn.MaxPool2d(2),
    "overlapping, padded": nn.MaxPool2d(3, stride=2, padding=1),
    "at every place": nn.MaxPool2d(3, stride=1, padding=1),
    "with gaps": nn.MaxPool2d(2, stride=3),
    "wide, by pairs": nn.MaxPool2d((1, 3), stride=(2, 1), padding=(0, 1)),
    "1 x 1": nn.MaxPool2d(1),
    "by pairs, then every second": nn.MaxPool2d((2, 1), stride=2),
    "of many": nn.MaxPool2d(6),
    "as a tuple of one": nn.MaxPool2d((2,), stride=(2,), padding=(1,)),
    "as a list": nn.MaxPool2d([2, 3]),
    "as numpy's number": nn.MaxPool2d(np.int64(2)),
    "dilated": nn.MaxPool2d(2, dilation=2),
    "to the last row": nn.MaxPool2d(2, ceil_mode=True),
}


def some_images(*size: int) -> torch.Tensor:
    """Many equal values, as after a ReLU, and some that are not finite."""
    images = torch.randn(*size, generator=torch.Generator().manual_seed(0)).relu()
    images.view(-1)[::41] = torch.nan
    images.view(-1)[::37] = torch.inf
    images.view(-1)[::31] = -torch.inf
    return images


def both_ways(model: nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        expected = model(images.clone())
        with fast_pooling(model):
            return model(images), expected


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("size", [(4, 3, 24, 24), (2, 5, 7, 9), (3, 11, 13), (0, 3, 8, 8)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_every_pooling_gives_the_numbers_of_torch(name, size, dtype):
    quick, expected = both_ways(POOLINGS[name], some_images(*size).to(dtype))
    assert quick.dtype == expected.dtype
    assert quick.shape == expected.shape
    assert quick.is_contiguous() == expected.is_contiguous()  # or a network's view(len(x), -1) fails
    assert torch.equal(quick.nan_to_num(7), expected.nan_to_num(7))
    assert torch.equal(quick.isnan(), expected.isnan())


@pytest.mark.parametrize("images", [torch.zeros(4, 4), torch.zeros(1, 0, 4, 4), torch.zeros(1, 1, 2, 2, 2)])
def test_arguments_that_torch_refuses_raise_its_error(images):
    pooling = nn.MaxPool2d(2)
    with torch.no_grad(), pytest.raises(RuntimeError) as expected:
        pooling(images)
    with torch.no_grad(), fast_pooling(pooling), pytest.raises(RuntimeError) as said:
        pooling(images)
    assert str(said.value) == str(expected.value)


def test_integers_are_pooled_as_before():
    quick, expected = both_ways(nn.MaxPool2d(3, stride=2, padding=1), torch.arange(64).view(1, 1, 8, 8))
    assert torch.equal(quick, expected)


def test_channels_last_memory_format_is_kept():
    images = some_images(4, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    quick, expected = both_ways(nn.MaxPool2d(2), images)
    assert quick.stride() == expected.stride()
    assert torch.equal(quick.nan_to_num(7), expected.nan_to_num(7))


@pytest.mark.parametrize("arch", ["lenet5", "vgg8", "resnet18", "squeezenet1_1"])
def test_logits_of_whole_networks_are_the_same(arch):
    network = build_network(arch, 5, (3, 64, 64)).eval()
    quick, expected = both_ways(network, torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(quick, expected)


def test_fast_pooling_applies_only_without_gradients(monkeypatch):
    pooling, images = nn.MaxPool2d(2), torch.rand(1, 1, 4, 4, requires_grad=True)
    with fast_pooling(pooling):
        pooling(images).sum().backward()  # by torch's own: its gradient goes to the first of equal maxima
        assert images.grad.count_nonzero() == 4
        monkeypatch.setattr(nn.MaxPool2d, "forward", lambda *_: pytest.fail("torch's own was called"))
        with torch.no_grad():
            assert pooling(images).shape == (1, 1, 2, 2)


def test_images_too_small_for_pooling_raise_the_error_of_torch():
    with pytest.raises(RuntimeError, match="too small"), torch.no_grad(), fast_pooling(pooling := nn.MaxPool2d(3)):
        pooling(torch.zeros(1, 1, 2, 2))


def test_the_layers_are_restored_and_a_copy_made_meanwhile_works():
    network = nn.Sequential(nn.MaxPool2d(2), nn.MaxPool2d(2))
    with fast_pooling(network):
        with fast_pooling(network):
            pass
        assert all("forward" in vars(layer) for layer in network)  # the inner block took nothing away
        copied = copy.deepcopy(network)
    assert not any("forward" in vars(layer) for layer in network)
    network[0].kernel_size = 7  # no part of the copy
    with torch.no_grad():
        assert copied(torch.zeros(1, 1, 8, 8)).shape == (1, 1, 2, 2)


def test_modified_layers_are_left_alone():
    class Doubling(nn.MaxPool2d):
        def forward(self, images):
            return 2 * super().forward(images)

    own = nn.MaxPool2d(2)
    own.forward = lambda images: images
    indexed = nn.MaxPool2d(2, return_indices=True)
    images = torch.ones(1, 1, 2, 2)
    with torch.no_grad(), fast_pooling(nn.ModuleList([doubling := Doubling(2), own, indexed])):
        assert doubling(images).item() == 2
        assert own(images) is images
        assert len(indexed(images)) == 2
    assert own(images) is images


def test_a_compiled_network_is_left_alone():
    network = nn.Sequential(nn.MaxPool2d(2))
    compiled = torch.compile(network, backend="eager")
    with fast_pooling(nn.Sequential(compiled)):
        assert "forward" not in vars(network[0])
