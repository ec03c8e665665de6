"""train: the images, labels, classes and weights that it accepts, and what it takes from them."""

import numpy as np
import pytest
import torch
from PIL import Image

from dfal_cli.checkpoint import load_checkpoint
from dfal_cli.training.augment import AUGMENTATIONS
from tests.conftest import dfal, draw_folder, write

UNMOVED = ("--lr", 1e-50)
"""A learning rate that moves no float32."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images of two classes with labels.csv (all) and small.csv (one of each)."""
    root = draw_folder(tmp_path_factory.mktemp("train"), each=12)
    rows = (root / "oracle.csv").read_text().splitlines()
    write(root / "labels.csv", *rows)
    write(root / "small.csv", *rows[:3])
    return root


def train(root, out, *further, labels="labels.csv"):
    return dfal(
        "train", "--images", root / "images", "--labels", root / labels, "--out", out,
        "--device", "cpu", "--epochs", 1, *further,
    )  # fmt: skip


@pytest.fixture
def out(tmp_path):
    return tmp_path / "model.safetensors"


def test_two_labelled_images_are_enough(folder, out):
    ended = train(folder, out, "--json", labels="small.csv")
    assert ended.code == 0, ended.stderr
    assert ended.json["counts"]["training"] == 2
    assert load_checkpoint(out).classes == ("dark", "light")


def test_a_network_with_batch_norm_trains_on_33_images_in_batches_of_32(tmp_path, out):
    root = draw_folder(tmp_path / "project", each=17, side=32)
    write(root / "labels.csv", *(root / "oracle.csv").read_text().splitlines()[:34])
    options = ("--arch", "resnet18", "--batch-size", 32, "--validation-fraction", 0, "--json")
    ended = train(root, out, *options)
    assert ended.code == 0, ended.stderr
    assert ended.json["counts"]["training"] == 33
    assert load_checkpoint(out).input_shape == (1, 32, 32)


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("channels", ["--gray", "--color"])
def test_every_augmentation_trains(folder, out, name, channels):
    ended = train(folder, out, "--augment", name, channels)
    assert ended.code == 0, ended.stderr


def test_image_size_and_colour_are_taken_from_the_images_and_reported(folder, out):
    ended = train(folder, out)
    assert "input: 16x16 grey" in ended.stderr
    assert "lenet5" in ended.stderr
    assert ended.stdout == f"{out}\n"
    assert load_checkpoint(out).input_shape == (1, 16, 16)


def test_image_size_and_colour_can_be_given(folder, out):
    assert train(folder, out, "--color", "--image-size", 20).code == 0
    assert load_checkpoint(out).input_shape == (3, 20, 20)


def test_one_colour_image_makes_the_input_colour_and_different_sizes_make_it_224(tmp_path, out):
    root = draw_folder(tmp_path / "project", each=2)
    (root / "oracle.csv").rename(root / "labels.csv")
    Image.new("RGB", (20, 16), (200, 0, 0)).save(root / "images" / "000.png")
    ended = train(root, out, "--arch", "squeezenet1_1")
    assert ended.code == 0, ended.stderr
    assert load_checkpoint(out).input_shape == (3, 224, 224)


def test_one_exceptional_image_changes_nothing_but_is_warned_of_even_with_quiet(tmp_path, out):
    root = draw_folder(tmp_path / "project", each=5)
    (root / "oracle.csv").rename(root / "labels.csv")
    odd = Image.new("RGB", (17, 16), (200, 0, 0))
    odd.putpixel((8, 8), (0, 0, 0))
    odd.save(root / "images" / "004.png")
    ended = train(root, out, "--quiet")
    assert load_checkpoint(out).input_shape == (3, 16, 16)
    assert ended.stderr.splitlines() == [
        "warning: 1 of 10 images has colour channels, so the network takes colour images; use --gray if it looks grey",
        "warning: 1 of 10 images is not 16x16 like the others (one is 17x16) and will be resized; "
        "use --image-size to set another size",
    ]


def test_blank_and_skip_labels_are_not_trained_on(folder, out, tmp_path):
    assert train(folder, out).code == 0
    rows = (folder / "labels.csv").read_text().splitlines()
    labels = write(tmp_path / "labels.csv", *rows, "absent.png,__skip__", "also-absent.png,", "third.png,  ")
    ended = train(folder, tmp_path / "b.safetensors", "--json", labels=labels)
    assert ended.code == 0, ended.stderr
    assert ended.json["counts"]["labelled"] == 24
    assert ended.json["classes"] == ["dark", "light"]
    one, other = (load_checkpoint(path).model.state_dict() for path in (out, tmp_path / "b.safetensors"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_class_names_fix_the_classes_and_their_order(folder, out):
    ended = train(folder, out, "--class-names", "light, unseen ,dark", "--json")
    assert ended.code == 0, ended.stderr
    assert load_checkpoint(out).classes == ("light", "unseen", "dark")


def test_init_starts_with_the_weights_of_the_checkpoint(folder, out, tmp_path):
    assert train(folder, out, "--seed", 1).code == 0
    ended = train(folder, tmp_path / "b.safetensors", "--init", out, *UNMOVED)
    assert ended.code == 0, ended.stderr
    one, other = (load_checkpoint(path).model.state_dict() for path in (out, tmp_path / "b.safetensors"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_init_with_other_classes_reports_a_new_head(folder, out, tmp_path):
    assert train(folder, out).code == 0
    ended = train(folder, tmp_path / "b.safetensors", "--init", out, "--class-names", "dark,light,new")
    assert ended.code == 0, ended.stderr
    assert "the last layer is initialised at random" in ended.stderr
    one, other = (load_checkpoint(path) for path in (out, tmp_path / "b.safetensors"))
    assert other.classes == ("dark", "light", "new")
    assert one.model.body[0].weight.shape == other.model.body[0].weight.shape


def test_training_starts_with_the_weights_of_a_local_state_dict(folder, out, tmp_path):
    assert train(folder, out, "--seed", 1).code == 0
    state = load_checkpoint(out).model.body.state_dict()
    torch.save(state, tmp_path / "weights.pth")
    assert train(folder, tmp_path / "b.safetensors", "--weights", tmp_path / "weights.pth", *UNMOVED).code == 0
    other = load_checkpoint(tmp_path / "b.safetensors").model.body.state_dict()
    assert all(torch.equal(state[name], other[name]) for name in state)


def test_chosen_defaults_are_reported_and_equal_explicit_options(folder, out):
    ended = train(folder, out)
    assert "patience: 5 (--patience)\nmonitor: loss (--monitor)\naugment: none (--augment)\n" in ended.stderr
    again = train(folder, out, "--patience", 5, "--augment", "none", "--validation-fraction", 0.2, "--json")
    assert again.json["status"] == "up to date"


def test_twins_of_validation_images_are_not_used(tmp_path, out):
    root = draw_folder(tmp_path / "project", each=12)
    header, *rows = (root / "oracle.csv").read_text().splitlines()
    for row in rows:
        np.save(root / f"{row[:3]}.npy", np.full((1, 16, 16), 0.5, np.float32))
    write(root / "labels.csv", f"{header},twin", *(f"{row},{row[:3]}.npy" for row in rows))
    ended = train(root, out, "--validation-fraction", 0.5, "--json")
    assert ended.json["counts"] == {"labelled": 24, "pseudo": 0, "twins": 24, "training": 12}
    assert "on 12 images and 12 twins" in ended.stderr
    assert ended.json["validation"]["examples"] == 12
