"""The pretended GPU itself, and margins on it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dfal_cli.margins import deepfool
from dfal_cli.margins.estimators import ESTIMATORS
from dfal_cli.models.network import build_network
from dfal_cli.models.seeding import seeded
from tests.benchmarks import waits
from tests.pretended_gpu import PretendedGpu


def lenet5() -> torch.nn.Module:
    with seeded(0, torch.device("cpu")):
        return build_network("lenet5", 10, (1, 28, 28)).eval()


def some_images() -> torch.Tensor:
    return torch.rand(48, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def test_mixing_devices_fails() -> None:
    with PretendedGpu():
        there, here = torch.ones(3, device="cuda"), torch.ones(3)
        assert (there.device, (2 * there).is_cuda, here.device.type) == (torch.device("cuda", 0), True, "cpu")
        with pytest.raises(RuntimeError, match="same device"):
            there + here
        with pytest.raises(RuntimeError, match="same device"):
            here[there.long()] = there
        with pytest.raises(RuntimeError, match="generator"):
            there.uniform_(generator=torch.Generator())
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
        assert (there.cpu() + here).tolist() == (there + here.to(there)).tolist() == [2, 2, 2]


def test_gradients_are_on_the_device_of_the_weights() -> None:
    with PretendedGpu() as gpu:
        layer = torch.nn.Linear(3, 2).to("cuda")
        layer(torch.ones(1, 3, device="cuda")).sum().backward()
        assert layer.weight.grad is not None
        assert gpu.has(layer.weight.grad)


def test_waits_for_the_gpu_are_counted() -> None:
    with PretendedGpu() as gpu:
        values = torch.arange(4.0, device="cuda")
        for look in (values.sum().item, values.tolist, values.cpu, values.nonzero, lambda: values[values > 1]):
            gpu.waits.clear()
            look()
            assert sum(gpu.waits.values()) == 1


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_margins_on_a_gpu_are_those_on_the_cpu(estimator: str, norm: str, clip: bool) -> None:
    network, images = lenet5(), some_images()
    expected = ESTIMATORS[estimator](network, images, norm=norm, clip=clip)
    with PretendedGpu() as gpu:
        found = ESTIMATORS[estimator](network.to("cuda"), images.to("cuda"), norm=norm, clip=clip)
        assert all(map(gpu.has, found))
        assert found.crossing_class.tolist() == expected.crossing_class.tolist()
        np.testing.assert_allclose(found.margin.cpu(), expected.margin, rtol=1e-3)


def test_a_step_of_deepfool_waits_for_the_gpu_once_for_each_class_examined_and_twice_besides() -> None:
    network, images = lenet5(), some_images()
    with PretendedGpu() as gpu:
        network, images = network.to("cuda"), images.to("cuda")
        gpu.waits.clear()
        crossing = deepfool(network, images, give_up_beyond=1e9)
        counted = gpu.waits.copy()
        steps = int(crossing.iterations.max())
    by_function = {line.rsplit(" ", 1)[1]: count for line, count in counted.items()}
    assert steps > 1
    assert by_function.keys() == {"indices_of", "of"}  # `of`: the predicted classes, before the first step
    assert by_function["of"] == 1
    assert by_function["indices_of"] <= 1 + steps * (2 + 8)  # crossed; gradient and limit; nine other classes


def test_the_table_of_waits_is_current() -> None:
    assert waits.table() in (Path(waits.__file__).parent / "README.md").read_text(encoding="utf-8")
