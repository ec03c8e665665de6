"""Weights from elsewhere."""

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dfal_cli.errors import DataError, UsageError
from dfal_cli.models import build_network, fit_weights
from dfal_cli.models.weights import read_pretrained, read_weights
from tests.conftest import write


def test_a_head_of_another_shape_starts_anew_and_all_else_is_taken():
    before, network = build_network("resnet18", 7, (3, 32, 32)), build_network("resnet18", 3, (3, 32, 32))
    head = network.body.fc.weight.clone()
    assert fit_weights(network, before.body.state_dict(), "before") == ["fc.weight", "fc.bias"]
    assert torch.equal(network.body.conv1.weight, before.body.conv1.weight)
    assert torch.equal(network.body.fc.weight, head)


def test_weights_that_fit_wholly_are_taken_wholly():
    before, network = build_network("lenet5", 3, (1, 16, 16)), build_network("lenet5", 3, (1, 16, 16))
    assert fit_weights(network, before.body.state_dict(), "before") == []
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), before.parameters(), strict=True))


@pytest.mark.parametrize("state", [{}, {"weight": torch.zeros(3)}])
def test_weights_of_another_network_are_refused_and_none_is_taken(state):
    network = build_network("lenet5", 3, (1, 16, 16))
    before = [parameter.clone() for parameter in network.parameters()]
    with pytest.raises(DataError, match="other: fits another network"):
        fit_weights(network, state | build_network("squeezenet1_1", 3, (3, 32, 32)).body.state_dict(), "other")
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), before, strict=True))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_state_dict_is_read_as_it_was_saved(tmp_path, suffix):
    state = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}
    path = tmp_path / f"weights{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(state, path)
    read = read_weights(path)
    assert read.keys() == state.keys()
    assert all(torch.equal(read[name], state[name]) for name in state)


class Trap:
    """Unpickled, it leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
@pytest.mark.parametrize("save", [lambda trap, path: path.write_bytes(pickle.dumps(trap)), torch.save])
def test_a_file_that_would_run_code_is_refused_and_runs_none(tmp_path, suffix, save):
    trace, path = tmp_path / "trace", tmp_path / f"weights{suffix}"
    save({"weight": Trap(trace)}, path)
    with pytest.raises(DataError, match="weights"):
        read_weights(path)
    assert not trace.exists()
    if save is not torch.save:
        pickle.loads(path.read_bytes())  # the trap works
        assert trace.exists()


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"model": {"epoch": 3}}], ids=str)
def test_what_is_no_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(DataError, match="not a state dict"):
        read_weights(tmp_path / "weights.pth")


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
@pytest.mark.parametrize("text", ["", "not weights at all"])
def test_a_damaged_file_is_refused(tmp_path, name, text):
    with pytest.raises(DataError, match=name):
        read_weights(write(tmp_path / name, text))


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "weights.pth").touch()
    with pytest.raises(DataError, match="weights"):
        read_weights(tmp_path / "weights.pth")


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="--weights"):
        read_weights(tmp_path / "absent.pth")


def test_the_papers_networks_have_no_pretrained_weights():
    with pytest.raises(UsageError, match="--pretrained: there are no weights for lenet5"):
        read_pretrained("lenet5")
