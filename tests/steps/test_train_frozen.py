"""train --freeze: a head through images is that of embed and train --embeddings."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from dfal_cli.checkpoint import load_checkpoint
from dfal_cli.models.head_file import load_head
from tests.conftest import Ended, dfal, draw_divided_folder, write

CODE = """
import torch
from torch import nn

def backbone(input_shape):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(input_shape[0], 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
    )
"""
BACKBONE = "frozen_for_tests:backbone"


@pytest.fixture
def house(in_tmp: Path) -> Path:
    """A folder of images with labels in pool.csv and test.csv, and a backbone in the user's own code."""
    draw_divided_folder(in_tmp)
    write(in_tmp / "frozen_for_tests.py", CODE)
    return in_tmp


def train(*further: object, out: str = "m.safetensors") -> Ended:
    return dfal(
        "train", "--images", "images", "--labels", "pool.csv", "--freeze", "--out", out, "--device", "cpu", "--json",
        *further,
    )  # fmt: skip


def test_the_checkpoint_is_that_of_embed_and_train_on_embeddings(house: Path) -> None:
    frozen = train("--arch", BACKBONE, "--image-size", 16, "--test", "test.csv")
    assert frozen.code == 0, frozen.stderr
    dfal("embed", "--images", "images", "--backbone", BACKBONE, "--image-size", 16, "--out", "e.parquet", "--quiet")
    embedded = dfal(
        "train", "--embeddings", "e.parquet", "--labels", "pool.csv", "--test", "test.csv", "--out", "e.safetensors",
        "--json",
    )  # fmt: skip
    heads = [load_head(Path(name)) for name in ("m.safetensors", "e.safetensors")]
    np.testing.assert_allclose(heads[0].weight, heads[1].weight, rtol=1e-3, atol=1e-3)
    assert heads[0].metadata["backbone"] == heads[1].metadata["backbone"]
    tensors = [
        {name: value for name, value in load_file(path).items() if name.startswith("backbone")}
        for path in ("m.safetensors", "e.safetensors")
    ]
    np.testing.assert_equal(*tensors)
    for name in ("test", "validation"):
        assert frozen.json[name]["confusion"] == embedded.json[name]["confusion"]


def test_the_checkpoint_classifies_images(house: Path) -> None:
    told = train("--arch", BACKBONE, "--image-size", 16, "--test", "test.csv").json
    assert load_checkpoint("m.safetensors", trust_code=True).input_shape == (3, 16, 16)
    ended = dfal(
        "score", "--images", "images", "--checkpoint", "m.safetensors", "--labels", "pool.csv", "--out", "s.parquet",
        "--device", "cpu", "--trust-code", "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.stderr
    assert ended.json["counts"]["scored"] == 8
    assert told["test"]["accuracy"] == 1


def test_equal_inputs_are_up_to_date_and_another_backbone_is_named(house: Path) -> None:
    train("--arch", BACKBONE, "--image-size", 16)
    assert train("--arch", BACKBONE, "--image-size", 16).json["status"] == "up to date"
    ended = train("--arch", BACKBONE, "--image-size", 12)
    assert ended.code == 2
    assert "m.safetensors: exists, and was made with embeddings of another backbone" in ended.stderr


def test_an_image_that_cannot_be_read_is_named_with_the_line_of_its_label(house: Path) -> None:
    (house / "images/003.png").write_bytes(b"no image")
    ended = train("--arch", BACKBONE)
    assert ended.code == 3
    assert "pool.csv, line 5: image '003.png'" in ended.stderr


def test_a_backbone_that_does_not_exist_is_named_by_the_option_of_train(house: Path) -> None:
    ended = train("--arch", "resnet19")
    assert ended.code == 2
    assert "--arch resnet19: no such backbone; did you mean" in ended.stderr


@pytest.mark.parametrize("option", ["--epochs 5", "--augment flip", "--patience 3", "--gray", "--lr 0.1"])
def test_options_of_training_a_network_are_refused(house: Path, option: str) -> None:
    ended = train(*option.split())
    assert ended.code == 2
    assert "no effect with --freeze; remove it" in ended.stderr


@pytest.mark.parametrize("option", ["--class-weight balanced", "--resize crop"])
def test_options_of_heads_are_refused_without_one(house: Path, option: str) -> None:
    ended = dfal("train", "--images", "images", "--labels", "pool.csv", "--out", "m.safetensors", *option.split())
    assert ended.code == 2
    assert "only for pretrained networks (--embeddings, --freeze, --finetune); remove it" in ended.stderr
