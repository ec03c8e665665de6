"""Weights to start from: files, and torchvision's pretrained ones."""

import argparse
import pickle
import urllib.request
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file

from dfal_cli.errors import DataError, UsageError
from dfal_cli.models import build_network, load_matching_weights
from dfal_cli.models.weights import best_matching_state, read_pretrained, read_weights
from tests.conftest import write


def test_a_head_of_another_shape_is_initialised_and_all_other_weights_are_loaded():
    before, network = build_network("resnet18", 7, (3, 32, 32)), build_network("resnet18", 3, (3, 32, 32))
    head = network.body.fc.weight.clone()
    assert load_matching_weights(network, before.body.state_dict(), "before") == ["fc.weight", "fc.bias"]
    assert torch.equal(network.body.conv1.weight, before.body.conv1.weight)
    assert torch.equal(network.body.fc.weight, head)


def test_matching_weights_are_loaded_completely():
    before, network = build_network("lenet5", 3, (1, 16, 16)), build_network("lenet5", 3, (1, 16, 16))
    assert load_matching_weights(network, before.body.state_dict(), "before") == []
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), before.parameters(), strict=True))


@pytest.mark.parametrize("state", [{}, {"weight": torch.zeros(3)}])
def test_weights_of_another_network_are_refused_and_none_is_loaded(state):
    network = build_network("lenet5", 3, (1, 16, 16))
    before = [parameter.clone() for parameter in network.parameters()]
    with pytest.raises(DataError, match="other: weights of another network"):
        load_matching_weights(
            network, state | build_network("squeezenet1_1", 3, (3, 32, 32)).body.state_dict(), "other"
        )
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), before, strict=True))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_state_dict_is_read_unchanged(tmp_path, suffix):
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
def test_a_file_that_would_run_code_is_refused_without_running_it(tmp_path, suffix, save):
    trace, path = tmp_path / "trace", tmp_path / f"weights{suffix}"
    save({"weight": Trap(trace)}, path)
    with pytest.raises(DataError, match="weights"):
        read_weights(path)
    assert not trace.exists()
    if save is not torch.save:
        pickle.loads(path.read_bytes())  # the trap works
        assert trace.exists()


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"model": {"epoch": 3}}], ids=str)
def test_a_file_without_a_state_dict_is_refused(tmp_path, content):
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


def test_a_missing_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="--weights"):
        read_weights(tmp_path / "absent.pth")


def test_the_papers_networks_have_no_pretrained_weights():
    with pytest.raises(UsageError, match="--pretrained: there are no pretrained weights for lenet5"):
        read_pretrained("lenet5")


def prefixed(state, prefix):
    return {f"{prefix}{name}": value for name, value in state.items()}


STORED_AS = {
    "plain": lambda state: state,
    "DataParallel": lambda state: prefixed(state, "module."),
    "compiled": lambda state: prefixed(state, "_orig_mod."),
    "compiled inside DataParallel": lambda state: prefixed(state, "_orig_mod.module."),
    "ImageNet example": lambda state: {"state_dict": prefixed(state, "module."), "epoch": 3, "arch": "lenet5"},
    "Lightning": lambda state: {"state_dict": prefixed(state, "model."), "epoch": 3},
    "self-supervised": lambda state: {"model": prefixed(state, "backbone.") | {"head.weight": torch.ones(2)}},
    "half with a prefix": lambda state: {
        f"encoder.{name}" if place % 2 else name: value for place, (name, value) in enumerate(state.items())
    },
    "torchvision's reference": lambda state: {
        "model": {name: torch.zeros_like(value) for name, value in state.items()},
        "model_ema": prefixed(state, "module.") | {"n_averaged": torch.tensor(5)},
        "args": argparse.Namespace(lr=0.1),
        "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]},
    },
}


@pytest.mark.parametrize("stored", STORED_AS.values(), ids=STORED_AS)
def test_weights_are_found_in_the_files_of_training_scripts(tmp_path, stored):
    before, network = build_network("lenet5", 3, (1, 16, 16)), build_network("lenet5", 3, (1, 16, 16))
    torch.save(stored(before.body.state_dict()), tmp_path / "weights.pth")
    reading = best_matching_state(network, read_weights(tmp_path / "weights.pth"))
    assert load_matching_weights(network, reading.state, "weights.pth") == []
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), before.parameters(), strict=True))


def test_removed_containers_and_prefixes_are_named(tmp_path):
    network = build_network("lenet5", 3, (1, 16, 16))
    stored = {"model": prefixed(network.body.state_dict(), "_orig_mod.module.")}
    assert str(best_matching_state(network, stored)) == "its 'model', names without '_orig_mod.module.'"
    assert str(best_matching_state(network, network.body.state_dict())) == ""


def test_a_prefix_that_the_network_uses_is_kept():
    network = build_network("vit_b_16", 3, (3, 32, 32))  # its blocks are called encoder.layers...
    assert best_matching_state(network, network.body.state_dict()).prefix == ""


def test_a_mismatch_shows_names_and_shapes_of_both_sides():
    network = build_network("lenet5", 3, (1, 16, 16))
    with pytest.raises(DataError, match=r"the file has stem\.weight \(2x2\), the network 0\.weight \(\d+x1x\dx\d\)"):
        load_matching_weights(network, {"stem.weight": torch.ones(2, 2)}, "other")


def test_a_failed_download_names_the_address_of_the_weights(monkeypatch, tmp_path):
    def offline(*arguments, **settings):
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", offline)
    monkeypatch.setattr("torch.hub.urlopen", offline)
    with pytest.raises(
        UsageError, match=r"fetch https://download\.pytorch\.org/models/resnet18-.*\.pth .*--weights resn"
    ):
        read_pretrained("resnet18")
