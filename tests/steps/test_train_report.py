"""train: its report, and the epoch and restart that it keeps."""

import math

import pytest
import torch
from PIL import Image

from dfal_cli.checkpoint import load_checkpoint
from dfal_cli.images import decode_image
from tests.conftest import dfal, draw_folder, write

CLASSES = ("dark", "grey", "light")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """60 images of three classes: labels.csv has 30 of them, validation.csv 12, test.csv 18."""
    root = draw_folder(tmp_path_factory.mktemp("report"), classes=CLASSES, each=20)
    header, *rows = (root / "oracle.csv").read_text().splitlines()
    write(root / "labels.csv", header, *rows[:30])
    write(root / "validation.csv", header, *rows[30:42])
    write(root / "test.csv", header, *rows[42:])
    return root


def report(root, out, *further):
    ended = dfal(
        "train", "--images", root / "images", "--labels", root / "labels.csv", "--out", out, "--device", "cpu",
        "--quiet", "--json", *further,
    )  # fmt: skip
    assert ended.code == 0, ended.stderr
    return ended.json


BLIND = """
from torch import nn

class Blind(nn.Sequential):
    def forward(self, images):  # not a number for a white image
        return super().forward(images) / (images.flatten(1).amin(1) < 1)[:, None]

def network(num_classes, input_shape):
    return Blind(nn.Flatten(), nn.Linear(256, num_classes))
"""


def test_a_loss_that_is_not_finite_is_null_in_json(folder, tmp_path, monkeypatch):
    write(tmp_path / "blind.py", BLIND)
    monkeypatch.chdir(tmp_path)
    Image.new("L", (16, 16), 255).save(folder / "images" / "white.png")
    write(tmp_path / "white.csv", "image,label", "white.png,light")
    told = report(folder, tmp_path / "m.safetensors", "--arch", "blind:network", "--epochs", 1, "--test", "white.csv")
    assert told["test"]["loss"] is None
    assert told["training"]["loss"] > 0


@pytest.fixture(scope="module")
def reported(folder):
    files = ("--validation", folder / "validation.csv", "--test", folder / "test.csv")
    return report(folder, folder / "model.safetensors", *files, "--epochs", 30, "--patience", 3, "--restarts", 3)


def test_json_has_the_common_form_of_all_commands(folder, reported):
    assert reported["command"] == "train"
    assert reported["status"] == "done"
    assert reported["outputs"] == [str(folder / "model.safetensors")]
    assert reported["warnings"] == []
    assert reported["seconds"] >= 0
    assert reported["counts"] == {"labelled": 30, "pseudo": 0, "training": 30, "twins": 0}


@pytest.mark.parametrize(("name", "examples"), [("validation", 12), ("test", 18)])
def test_accuracy_class_accuracy_and_confusion_agree_with_each_other(reported, name, examples):
    told = reported[name]
    confusion = torch.tensor(told["confusion"])
    assert told["examples"] == confusion.sum() == examples
    assert confusion.sum(1).tolist() == [examples // 3] * 3
    assert told["accuracy"] == pytest.approx(confusion.diagonal().sum().item() / examples)
    for k, label in enumerate(CLASSES):
        assert told["class_accuracy"][label] == pytest.approx(confusion[k, k].item() / confusion[k].sum().item())


def test_the_test_report_agrees_with_the_predictions_of_the_checkpoint(folder, reported):
    network = load_checkpoint(folder / "model.safetensors")
    rows = [row.split(",") for row in (folder / "test.csv").read_text().splitlines()[1:]]
    pixels = [torch.from_numpy(decode_image(folder / "images" / name, (1, 16, 16)).copy()) for name, _ in rows]
    logits = network.model(torch.stack(pixels).float() / 255).detach()
    truth = torch.tensor([CLASSES.index(label) for _, label in rows])
    confusion = torch.zeros(3, 3, dtype=torch.int64)
    for true, predicted in zip(truth, logits.argmax(1), strict=True):
        confusion[true, predicted] += 1
    assert reported["test"]["confusion"] == confusion.tolist()
    loss = torch.nn.functional.cross_entropy(logits, truth).item()
    assert reported["test"]["loss"] == pytest.approx(loss, rel=1e-4)


def test_the_history_has_loss_and_accuracy_of_every_epoch_of_every_restart(reported):
    history = reported["history"]
    assert len(history) == reported["epochs"]
    for restart in (1, 2, 3):
        epochs = [entry["epoch"] for entry in history if entry["restart"] == restart]
        assert epochs == list(range(1, len(epochs) + 1))
    for entry in history:
        assert math.isfinite(entry["loss"])
        assert math.isfinite(entry["validation_loss"])
        assert 0 <= entry["accuracy"] <= 1
        assert 0 <= entry["validation_accuracy"] <= 1


def test_the_epoch_and_restart_of_the_lowest_validation_loss_are_kept(reported):
    best = min(reported["history"], key=lambda entry: entry["validation_loss"])
    assert (reported["restart"], reported["epoch"]) == (best["restart"], best["epoch"])
    assert reported["validation"]["loss"] == pytest.approx(best["validation_loss"], rel=1e-6)
    assert reported["validation"]["accuracy"] == best["validation_accuracy"]


def test_training_stops_when_the_validation_loss_has_not_improved_for_patience_epochs(folder, tmp_path):
    options = ("--validation", folder / "validation.csv", "--epochs", 40, "--patience", 2, "--lr", 0.03)
    told = report(folder, tmp_path / "model.safetensors", *options)
    losses = [entry["validation_loss"] for entry in told["history"]]
    best = losses.index(min(losses))
    assert told["epoch"] == best + 1
    assert len(losses) == best + 1 + 2
    assert told["validation"]["loss"] == pytest.approx(min(losses), rel=1e-6)


def test_restarts_differ_from_each_other(reported):
    first = [entry["loss"] for entry in reported["history"] if entry["epoch"] == 1]
    assert len(set(first)) == 3


def test_a_class_missing_from_the_test_file_has_no_accuracy(folder, tmp_path):
    rows = (folder / "test.csv").read_text().splitlines()
    test = write(tmp_path / "test.csv", *(row for row in rows if not row.endswith(",grey")))
    told = report(folder, tmp_path / "model.safetensors", "--test", test, "--epochs", 1)
    assert told["test"]["class_accuracy"]["grey"] is None
    assert told["test"]["confusion"][1] == [0, 0, 0]


def test_a_class_only_in_the_test_file_is_not_trained_and_its_images_count_as_wrong(folder, tmp_path):
    rows = (folder / "test.csv").read_text().splitlines()
    test = write(tmp_path / "test.csv", *rows, "000.png,unseen", "001.png,unseen")
    told = report(folder, tmp_path / "model.safetensors", "--test", test, "--epochs", 1)
    known = report(folder, tmp_path / "known.safetensors", "--test", folder / "test.csv", "--epochs", 1)
    assert told["classes"] == known["classes"] == ["dark", "grey", "light"]
    assert any("2 of 20 images in --test" in warning and "unseen" in warning for warning in told["warnings"])
    assert told["test"]["examples"] == 20
    assert told["test"]["accuracy"] == pytest.approx(known["test"]["accuracy"] * 18 / 20)
    assert told["test"]["loss"] == pytest.approx(known["test"]["loss"])
    assert told["test"]["class_accuracy"] == known["test"]["class_accuracy"] | {"unseen": 0.0}
    assert told["test"]["confusion"][:3] == known["test"]["confusion"]
    assert sum(told["test"]["confusion"][3]) == 2
    assert told["test"]["largest_share"] == 6 / 20


def test_a_test_set_of_unknown_classes_has_accuracy_0_and_no_loss(folder, tmp_path):
    test = write(tmp_path / "test.csv", "image,label", "059.png,unseen")
    told = report(folder, tmp_path / "model.safetensors", "--test", test, "--epochs", 1)
    assert (told["test"]["accuracy"], told["test"]["loss"]) == (0.0, None)


def test_a_class_only_in_the_validation_file_counts_as_wrong(folder, tmp_path):
    rows = (folder / "validation.csv").read_text().splitlines()
    validation = write(tmp_path / "validation.csv", *rows, "000.png,unseen")
    told = report(folder, tmp_path / "m.safetensors", "--validation", validation, "--epochs", 8, "--patience", 8)
    assert told["classes"] == ["dark", "grey", "light"]
    assert told["validation"]["confusion"][3] == [1, 0, 0]
    assert all(0 < epoch["validation_loss"] < 10 for epoch in told["history"])
    assert max(epoch["validation_accuracy"] for epoch in told["history"]) <= 12 / 13


def test_a_validation_file_of_unknown_classes_is_refused(folder, tmp_path):
    validation = write(tmp_path / "validation.csv", "image,label", "059.png,unseen")
    ended = dfal(
        "train", "--images", folder / "images", "--labels", folder / "labels.csv", "--validation", validation,
        "--out", tmp_path / "model.safetensors", "--epochs", 1,
    )  # fmt: skip
    assert ended.code == 3
    assert f"{validation}: no image has a class that is in --labels: dark, grey, light" in ended.stderr


def test_the_confusion_table_goes_to_stderr(folder, tmp_path):
    ended = dfal(
        "train", "--images", folder / "images", "--labels", folder / "labels.csv", "--test", folder / "test.csv",
        "--out", tmp_path / "model.safetensors", "--device", "cpu", "--epochs", 1,
    )  # fmt: skip
    assert ended.stdout == f"{tmp_path / 'model.safetensors'}\n"
    assert "best of 1 epochs: 1" in ended.stderr
    assert "of 18 images correct" in ended.stderr


def test_with_monitor_accuracy_the_latest_best_epoch_is_kept(folder, tmp_path):
    options = ("--validation", folder / "validation.csv", "--epochs", 30, "--patience", 30)
    told = report(folder, tmp_path / "m.safetensors", "--monitor", "accuracy", *options)
    accuracies = {entry["epoch"]: entry["validation_accuracy"] for entry in told["history"]}
    assert told["epoch"] == max(epoch for epoch, value in accuracies.items() if value == max(accuracies.values()))
    assert told["epoch"] > min(epoch for epoch, value in accuracies.items() if value == max(accuracies.values()))


def test_with_monitor_accuracy_a_tie_does_not_reset_patience(folder, tmp_path):
    options = ("--validation", folder / "validation.csv", "--epochs", 60, "--patience", 3)
    told = report(folder, tmp_path / "m.safetensors", "--monitor", "accuracy", *options)
    accuracies = [entry["validation_accuracy"] for entry in told["history"]]
    assert len(accuracies) == accuracies.index(max(accuracies)) + 1 + 3
    assert told["epoch"] == max(n for n, value in enumerate(accuracies, 1) if value == max(accuracies))
