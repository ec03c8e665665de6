"""The checkpoint of a head with its backbone is a network that classifies images."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dfal_cli.checkpoint import load_checkpoint, trusted_architecture
from dfal_cli.errors import DataError, UsageError
from dfal_cli.models import seeded
from dfal_cli.models.backbones import Backbone, load_backbone
from dfal_cli.models.head_file import save_head
from dfal_cli.tables.vectors import unit_length

CLASSES = ("a", "b", "c")
CODE = """
from torch import nn

def backbone(input_shape):
    return nn.Sequential(nn.Conv2d(input_shape[0], 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""


DESCRIBED: dict[str, Any] = {
    "backbone": "squeezenet1_1", "input_shape": [3, 32, 32], "white": None,
    "resize": {"how": "crop", "shorter_side": 32, "interpolation": "bilinear"},
    "normalisation": {"mean": [0.5], "std": [0.5]},
}  # fmt: skip


@pytest.fixture
def squeezenet(tmp_path: Path) -> Backbone:
    """A network of torchvision with random weights, for images of 32 pixels."""
    from torchvision.models import squeezenet1_1

    with seeded(0, torch.device("cpu")):
        torch.save(squeezenet1_1().state_dict(), tmp_path / "weights.pth")
    return load_backbone("squeezenet1_1", tmp_path / "weights.pth", image_size=32)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Backbone:
    """A backbone in the user's own code."""
    (tmp_path / "mine_headed.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    return load_backbone("mine_headed:backbone", image_size=16)


def saved(path: Path, backbone: Backbone, changes: dict[str, Any] | None = None) -> tuple[Path, np.ndarray, np.ndarray]:
    """A checkpoint of a random head on the backbone, with other metadata; its weight and bias."""
    generator = np.random.default_rng(0)
    weight, bias = generator.standard_normal((3, backbone.dimension)), generator.standard_normal(3)
    weights = {name: value.numpy() for name, value in backbone.model.body.state_dict().items()}
    save_head(
        path, weight, bias, classes=CLASSES, embeddings=backbone.metadata, backbone=weights,
        extra_metadata=changes or {},
    )  # fmt: skip
    return path, weight, bias


def test_the_logits_of_images_are_those_of_the_head_on_their_embeddings(tmp_path: Path, squeezenet: Backbone) -> None:
    path, weight, bias = saved(tmp_path / "m.safetensors", squeezenet)
    network = load_checkpoint(path)
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits, embeddings = network.model(images).numpy(), squeezenet.model(images).numpy()
    np.testing.assert_allclose(logits, unit_length(embeddings) @ weight.T + bias, atol=1e-5)
    assert (network.classes, network.input_shape) == (CLASSES, (3, 32, 32))
    assert network.input_format == squeezenet.input_format
    assert not network.model.training


def test_a_backbone_in_the_users_own_code_is_imported_only_if_it_is_trusted(tmp_path: Path, own: Backbone) -> None:
    path, *_ = saved(tmp_path / "m.safetensors", own)
    with pytest.raises(UsageError, match="its network is custom code, mine_headed:backbone; allow it with"):
        load_checkpoint(path)
    for trust in ({"trust_code": True}, {"architecture": "mine_headed:backbone"}):
        assert load_checkpoint(path, **trust).classes == CLASSES  # type: ignore[arg-type]


def test_the_architecture_of_a_head_with_its_backbone_is_the_name_of_the_backbone(
    tmp_path: Path, squeezenet: Backbone
) -> None:
    path, *_ = saved(tmp_path / "m.safetensors", squeezenet)
    told: dict[str, Any] = {"trust_code": False, "option": "--checkpoint"}
    assert trusted_architecture(path, architecture=None, **told) == "squeezenet1_1"
    with pytest.raises(UsageError, match=r"--arch resnet18: .* contains a squeezenet1_1 network"):
        trusted_architecture(path, architecture="resnet18", **told)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": {"name": "linear", "arguments": {"dimension": 10**12}}}, "its head does not match"),
        ({"architecture": {"name": "linear", "arguments": {"dimension": 5}}}, "its weights do not match its network"),
        ({"classes": ["a", "b"]}, "its weights do not match its network"),
        ({"input_shape": None}, "its metadata is damaged"),
        ({"backbone": {"backbone": "squeezenet1_1"}}, "its metadata is damaged"),
        ({"backbone": DESCRIBED | {"input_shape": [3, 4097, 32]}}, "its metadata is damaged"),
        ({"backbone": DESCRIBED | {"input_shape": [3, -32, -32]}}, "its metadata is damaged"),
        (
            {"backbone": DESCRIBED | {"backbone": "regnet_y_128gf"}},
            "its weights do not match its network regnet_y_128gf",
        ),
    ],
)
def test_metadata_that_do_not_describe_the_network_are_refused(
    tmp_path: Path, squeezenet: Backbone, changes: dict[str, Any], message: str
) -> None:
    path, *_ = saved(tmp_path / "m.safetensors", squeezenet, changes)
    with pytest.raises(DataError, match=message):
        load_checkpoint(path)
