"""Checkpoints of heads: what is written is read again; other files are refused with a message that says why."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from dfal_cli.checkpoint import load_checkpoint
from dfal_cli.errors import DataError, UsageError
from dfal_cli.models.head_file import load_head, read_backbone, save_head
from dfal_cli.system.fingerprints import canonical_json

CLASSES = ("a", "007", "é")
generator = np.random.default_rng(0)
WEIGHT, BIAS = generator.standard_normal((3, 5)), generator.standard_normal(3)


def saved(path: Path, **changes: Any) -> Path:
    """A head without a backbone."""
    extra_metadata = {"seed": 4, **changes}
    save_head(path, WEIGHT, BIAS, classes=CLASSES, embeddings={}, backbone=None, extra_metadata=extra_metadata)
    return path


def test_a_saved_head_is_loaded_in_single_precision_with_classes_and_metadata(tmp_path: Path) -> None:
    head = load_head(saved(tmp_path / "m.safetensors"))
    np.testing.assert_allclose(head.weight, WEIGHT, rtol=1e-7)
    np.testing.assert_allclose(head.bias, BIAS, rtol=1e-7)
    assert head.weight.dtype == head.bias.dtype == np.float64
    assert head.classes == CLASSES
    assert head.metadata["seed"] == 4
    assert head.metadata["backbone"] is None


def test_equal_heads_give_equal_bytes(tmp_path: Path) -> None:
    assert saved(tmp_path / "a.safetensors").read_bytes() == saved(tmp_path / "b.safetensors").read_bytes()


def test_a_head_without_backbone_takes_no_images(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"m\.safetensors: classifies embeddings, not images, .*; use it with --embeddings"
    ):
        load_checkpoint(saved(tmp_path / "m.safetensors"))


def test_a_network_of_images_is_no_head(trained: Path) -> None:
    with pytest.raises(UsageError, match=r"model\.safetensors: classifies images, not embeddings"):
        load_head(trained / "model.safetensors")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ["a", "b"]}, "its head does not match its metadata"),
        ({"architecture": {"name": "linear", "arguments": {"dimension": 4}}}, "its head does not match its metadata"),
        ({"architecture": {"name": "linear", "arguments": {}}}, "its metadata is damaged"),
        ({"backbone": "lite0"}, "its metadata is damaged"),
        ({"backbone": {}}, "its metadata is damaged"),  # without an input shape
        ({"contract": 99}, "from another version of dfal"),
    ],
)
def test_metadata_that_do_not_describe_the_head_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load_head(saved(tmp_path / "m.safetensors", **changes))


def test_a_head_with_damaged_tensors_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.safetensors")
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    tensors = load(content)
    for changed in ({"head.bias": np.float32([1, np.nan, 2])}, {"head.bias": np.zeros(3)}, {"head.bias": np.zeros(())}):
        path.write_bytes(save({**tensors, **changed}, metadata=header))
        with pytest.raises(DataError, match=r"its head (is not finite|does not match its metadata)"):
            load_head(path)
    path.write_bytes(content[:-1])
    with pytest.raises(DataError, match="not a checkpoint of dfal"):
        load_head(path)


def test_the_backbone_beside_embeddings_is_read_if_it_is_the_one_that_made_them(tmp_path: Path) -> None:
    embeddings, beside = tmp_path / "e.parquet", tmp_path / "e.parquet.backbone.safetensors"
    weights = {"conv.weight": np.ones((2, 3), np.float32), "n": np.array(7)}
    assert read_backbone(embeddings, {"weights_sha256": "abc"}) is None
    beside.write_bytes(save(weights, metadata={"dfal": canonical_json({"contract": 1, "weights_sha256": "abc"})}))
    read = read_backbone(embeddings, {"weights_sha256": "abc"})
    assert read is not None
    np.testing.assert_equal(dict(read), weights)
    assert read_backbone(embeddings, {"weights_sha256": "other"}) is None
    assert read_backbone(embeddings, {}) is None
    beside.write_bytes(beside.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"e\.parquet\.backbone\.safetensors: damaged"):
        read_backbone(embeddings, {"weights_sha256": "abc"})
