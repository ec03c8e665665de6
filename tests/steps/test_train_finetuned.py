"""train --finetune: a pretrained network trained further, from a head on its embeddings."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from dfal_cli.checkpoint import load_checkpoint
from dfal_cli.models import Network
from dfal_cli.models.backbones import load_backbone
from dfal_cli.models.head_file import load_head
from dfal_cli.system.reporting import Silent
from dfal_cli.tables.vectors import unit_length
from dfal_cli.training.examples import Examples
from dfal_cli.training.finetuning import fitted_start
from dfal_cli.training.fitting import fit
from dfal_cli.training.head import fit_head
from dfal_cli.training.run import Epoch, FinetuningSettings, Snapshot, TrainingRun, TrainingSettings
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
BACKBONE = "finetuned_for_tests:backbone"
SETTINGS = TrainingSettings(epochs=4, lr=1e-2, batch_size=8, monitor="last", finetuning=FinetuningSettings())
CPU = torch.device("cpu")


@pytest.fixture
def house(in_tmp: Path) -> Path:
    """A folder of images with labels in pool.csv and test.csv, and a backbone in the user's own code."""
    draw_divided_folder(in_tmp)
    write(in_tmp / "finetuned_for_tests.py", CODE)
    return in_tmp


def train(*further: object) -> Ended:
    return dfal(
        "train", "--images", "images", "--labels", "pool.csv", "--finetune", "--arch", BACKBONE, "--image-size", 16,
        "--out", "m.safetensors", "--device", "cpu", "--json", *further,
    )  # fmt: skip


def examples() -> Examples:
    """Twenty images of two classes that differ in colour."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(20) % 2
    images = torch.randint(0, 256, (20, 3, 16, 16), generator=generator)
    images[:, 0] = images[:, 0] // 2 + 60 * labels[:, None, None]
    return Examples(images.to(torch.uint8), labels, torch.empty(0, 3, 16, 16), torch.empty(0, dtype=torch.int64))


def started() -> Network:
    backbone = load_backbone(BACKBONE, image_size=16)
    return fitted_start(backbone, examples(), 2, Silent())


def trained(run: TrainingRun, snapshot: Snapshot | None = None) -> list[Snapshot]:
    """Train on the examples; return the snapshots after all epochs."""
    snapshots: list[Snapshot] = []

    def on_epoch(epoch: Epoch) -> None:
        tensors, values = run.snapshot()
        copies = {name: value.clone() for name, value in tensors.items()}
        snapshots.append(Snapshot(copies, values | {"history": list(values["history"])}))

    fit(run, examples(), None, 0, on_epoch, snapshot)
    return snapshots


def test_the_initial_network_is_the_backbone_with_a_head_fitted_to_its_embeddings(house: Path) -> None:
    backbone, images = load_backbone(BACKBONE, image_size=16), examples().images.float() / 255
    with torch.inference_mode():
        vectors, logits = unit_length(backbone.model(images).numpy()), started().eval()(images).numpy()
    head = fit_head(vectors, examples().labels.numpy(), 2)
    np.testing.assert_allclose(logits, head.logits(vectors), rtol=1e-3, atol=1e-3)


def test_the_backbone_learns_at_a_tenth_of_the_rate_of_the_head_along_half_a_cosine(house: Path) -> None:
    run = TrainingRun(started(), SETTINGS, 0)
    rates = []
    for epoch in range(4):
        run.set_learning_rates()
        rates.append([group["lr"] for group in run.optimiser.param_groups])
        run.add(Epoch(epoch + 1, 1.0, 1.0, None, None))
    cosine = [(1 + math.cos(math.pi * epoch / 4)) / 2 for epoch in range(4)]
    np.testing.assert_allclose(rates, [[1e-3 * share, 1e-2 * share] for share in cosine])
    backbone, head = (group["params"] for group in run.optimiser.param_groups)
    assert [len(backbone), len(head)] == [4, 2]
    assert {group["weight_decay"] for group in run.optimiser.param_groups} == {0.01}


def test_weights_change_and_the_statistics_of_batch_normalisation_do_not(house: Path) -> None:
    run = TrainingRun(started(), SETTINGS, 0)
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    trained(run)
    changed = {name for name, value in run.model.state_dict().items() if not torch.equal(value, before[name])}
    statistics = {name for name in before if "running" in name or "batches" in name}
    assert len(statistics) == 3
    assert changed == before.keys() - statistics


def test_a_resumed_training_gives_the_same_network(house: Path) -> None:
    whole = TrainingRun(started(), SETTINGS, 0)
    snapshots = trained(whole)
    resumed = TrainingRun(started(), SETTINGS, 0)
    trained(resumed, snapshots[1])
    assert resumed.history == whole.history
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name


def test_the_checkpoint_classifies_images_and_embeddings_of_its_own_backbone(house: Path) -> None:
    ended = train("--test", "test.csv", "--epochs", 3)
    assert ended.code == 0, ended.stderr
    assert (ended.json["epoch"], ended.json["epochs"]) == (3, 3)  # the last one, where the learning rate is lowest
    network, head = load_checkpoint("m.safetensors", trust_code=True), load_head(Path("m.safetensors"))
    assert ended.json["test"]["accuracy"] == 1
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        logits = network.model(images).numpy()
        vectors = unit_length(network.model.body.get_submodule("backbone")(images).numpy())
    np.testing.assert_allclose(logits, vectors @ head.weight.T + head.bias, atol=1e-5)
    pretrained = load_backbone(BACKBONE, image_size=16)
    assert head.metadata["embeddings"]["weights_sha256"] != pretrained.weights_sha256
    assert train("--test", "test.csv", "--epochs", 3).json["status"] == "up to date"


def test_images_can_be_held_out_to_choose_an_epoch_by(house: Path) -> None:
    write(house / "pool.csv", *(house / "oracle.csv").read_text().split()[:21])
    told = train("--validation-fraction", 0.5, "--monitor", "loss", "--epochs", 2).json
    assert told["validation"]["examples"] == 10


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--freeze", "--freeze and --finetune: choose one"),
        ("--class-weight balanced", "--class-weight: no effect with --finetune; remove it"),
        ("--gray", "--gray/--color: no effect with --finetune; remove it"),
    ],
)
def test_options_without_meaning_are_refused(house: Path, option: str, message: str) -> None:
    ended = train(*option.split())
    assert ended.code == 2
    assert message in ended.stderr


def test_a_head_on_a_frozen_network_is_not_continued_by_init(house: Path) -> None:
    train("--epochs", 1)
    ended = dfal(
        "train", "--images", "images", "--labels", "pool.csv", "--init", "m.safetensors", "--out", "n.safetensors"
    )  # fmt: skip
    assert ended.code == 2
    assert "m.safetensors: holds a head on a frozen network, which --init cannot continue" in ended.stderr
