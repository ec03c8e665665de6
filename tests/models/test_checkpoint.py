"""Checkpoints: weights, and metadata from which the model is rebuilt."""

import json
import pickle
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

from dfal_cli.checkpoint import load_checkpoint, save_checkpoint
from dfal_cli.errors import DataError, UsageError
from dfal_cli.models import build_network
from tests.conftest import write

SHAPE = (1, 16, 16)


def checkpoint(path: Path, arch: str = "lenet5", shape=SHAPE) -> torch.nn.Module:
    model = build_network(arch, 3, shape)
    save_checkpoint(
        path, model, architecture=arch, classes=("a", "007", "é"), input_shape=shape, extra_metadata={"seed": 4}
    )
    return model.eval()


def rewritten(path: Path, **changes) -> Path:
    """The checkpoint with other metadata."""
    with safe_open(path, "pt") as stored:
        metadata = json.loads(stored.metadata()["dfal"]) | changes
        weights = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
    path.write_bytes(save(weights, metadata={"dfal": json.dumps(metadata)}))
    return path


@pytest.mark.parametrize(("arch", "shape"), [("lenet5", SHAPE), ("resnet18", (3, 32, 32)), ("vgg8", (3, 16, 18))])
def test_a_loaded_network_gives_the_same_logits(tmp_path, arch, shape):
    path = tmp_path / "model.safetensors"
    model = checkpoint(path, arch, shape)
    loaded = load_checkpoint(path)
    images = torch.rand(4, *shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(loaded.model(images), model(images))
    assert not loaded.model.training
    assert loaded.classes == ("a", "007", "é")
    assert loaded.input_shape == shape
    assert loaded.metadata["seed"] == 4


def test_a_network_loaded_and_saved_again_gives_the_same_bytes(tmp_path):
    checkpoint(tmp_path / "a.safetensors")
    loaded = load_checkpoint(tmp_path / "a.safetensors")
    save_checkpoint(
        tmp_path / "b.safetensors", loaded.model, architecture="lenet5", classes=loaded.classes,
        input_shape=loaded.input_shape, extra_metadata={"seed": 4},
    )  # fmt: skip
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_loading_draws_nothing_from_the_global_generator(tmp_path):
    checkpoint(tmp_path / "model.safetensors")
    before = torch.get_rng_state()
    load_checkpoint(tmp_path / "model.safetensors")
    assert torch.equal(torch.get_rng_state(), before)


def test_the_metadata_is_one_key_of_canonical_json(tmp_path):
    checkpoint(tmp_path / "model.safetensors")
    with safe_open(tmp_path / "model.safetensors", "pt") as stored:
        metadata = stored.metadata()
    assert set(metadata) - {"format"} == {"dfal"}
    told = json.loads(metadata["dfal"])
    assert metadata["dfal"] == json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert told["architecture"]["name"] == "lenet5"


@pytest.fixture
def own(in_tmp):
    """A checkpoint of a network whose module leaves a trace when it is imported."""
    write(
        in_tmp / "own_network.py",
        "import pathlib, torch",
        "pathlib.Path('trace').touch()",
        "def build(num_classes, input_shape):",
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(256, num_classes))",
    )
    checkpoint(in_tmp / "model.safetensors", "own_network:build")
    (in_tmp / "trace").unlink()
    sys.modules.pop("own_network")
    yield in_tmp
    sys.modules.pop("own_network", None)


def test_user_code_is_not_run_unless_it_is_trusted_or_named(own):
    for named in (None, "lenet5", "own_network:other"):
        with pytest.raises(UsageError, match=r"--trust-code or --arch own_network:build"):
            load_checkpoint(own / "model.safetensors", architecture=named)
    assert not (own / "trace").exists()


@pytest.mark.parametrize("allowed", [{"trust_code": True}, {"architecture": "own_network:build"}])
def test_user_code_is_run_when_it_is_trusted_or_named(own, allowed):
    loaded = load_checkpoint(own / "model.safetensors", **allowed)
    assert loaded.model(torch.zeros(2, *SHAPE)).shape == (2, 3)
    assert (own / "trace").exists()


@pytest.mark.parametrize("contract", [0, 2, 99, None, "1"])
def test_a_checkpoint_of_another_contract_is_refused(tmp_path, contract):
    checkpoint(tmp_path / "model.safetensors")
    with pytest.raises(DataError, match="another version of dfal"):
        load_checkpoint(rewritten(tmp_path / "model.safetensors", contract=contract))


@pytest.mark.parametrize("keep", [0, 1, 7, 100, -1000])
def test_a_truncated_checkpoint_is_refused(tmp_path, keep):
    path = tmp_path / "model.safetensors"
    checkpoint(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"model\.safetensors"):
        load_checkpoint(path)


def test_a_renamed_pickle_is_refused_and_runs_no_code(tmp_path):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "trace",)

    for content in (pickle.dumps(Trap()), b"PK\x03\x04 something"):
        (tmp_path / "model.safetensors").write_bytes(content)
        with pytest.raises(DataError, match="not a checkpoint of dfal"):
            load_checkpoint(tmp_path / "model.safetensors")
    assert not (tmp_path / "trace").exists()


def test_safetensors_files_of_other_programs_are_refused(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(save({"weight": torch.ones(2)}))
    with pytest.raises(DataError, match="not a checkpoint of dfal"):
        load_checkpoint(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    "changes",
    [{"classes": ["a", "b"]}, {"architecture": {"name": "vgg8", "arguments": {}}}, {"input_shape": [1, 32, 32]}],
    ids=str,
)
def test_weights_that_do_not_fit_the_network_they_name_are_refused(tmp_path, changes):
    checkpoint(tmp_path / "model.safetensors")
    with pytest.raises(DataError, match="do not match"):
        load_checkpoint(rewritten(tmp_path / "model.safetensors", **changes))


@pytest.mark.parametrize("changes", [{"classes": None}, {"architecture": None}, {"input_shape": "large"}], ids=str)
def test_metadata_that_do_not_describe_a_network_are_refused(tmp_path, changes):
    checkpoint(tmp_path / "model.safetensors")
    with pytest.raises(DataError, match=r"model\.safetensors"):
        load_checkpoint(rewritten(tmp_path / "model.safetensors", **changes))


def test_a_missing_checkpoint_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        load_checkpoint(tmp_path / "absent.safetensors")
