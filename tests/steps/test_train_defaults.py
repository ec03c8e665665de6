"""train: defaults, which are the paper's for small images and measured ones for photos."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dfal_cli.checkpoint import load_checkpoint
from dfal_cli.images import Probe
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.training.defaults import PAPER_RECIPE, PHOTO_RECIPE, Recipe, are_photos, fill_defaults, recipe_of
from tests.conftest import dfal, write

SKETCH = Probe(grey=True, height=28, width=28)
PHONE = [Probe(grey=False, height=400 + side, width=300) for side in range(3)]
CAMERA = [Probe(grey=False, height=3024, width=4032)] * 3
THUMBNAIL = [Probe(grey=False, height=100, width=100)] * 3


def settled(probes: list[Probe], *, from_scratch: bool = True, **told: object) -> tuple[object, object, Recipe]:
    options = TrainOptions(images=Path("images"), labels=[Path("l.csv")], out=Path("m.safetensors"), **told)
    suited = fill_defaults(options, probes, from_scratch=from_scratch)
    return suited.arch, suited.image_size, recipe_of(suited)


def test_small_images_of_one_size_get_the_defaults_of_the_paper() -> None:
    assert settled([SKETCH] * 3) == (None, None, PAPER_RECIPE)
    assert not are_photos([])


@pytest.mark.parametrize("photos", [PHONE, CAMERA], ids=["many sizes", "one large size"])
def test_photos_from_scratch_get_a_resnet_with_64x64_input(photos: list[Probe]) -> None:
    assert settled(photos) == settled(photos, arch="resnet18") == ("resnet18", 64, PHOTO_RECIPE)


def test_photos_of_one_small_size_keep_it() -> None:
    assert settled(THUMBNAIL) == (None, None, PHOTO_RECIPE)


def test_another_network_and_pretrained_weights_have_their_own_input_size() -> None:
    assert settled(PHONE, arch="vit_b_16") == ("vit_b_16", None, PHOTO_RECIPE)
    assert settled(PHONE, from_scratch=False) == (None, None, PAPER_RECIPE)


def test_given_options_are_kept() -> None:
    told = Recipe(7, "loss", "none", 0.0)
    assert settled(PHONE, image_size=96, **told._asdict()) == (None, 96, told)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """images/ of many sizes, and oracle.csv and test.csv."""
    generator = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    rows = []
    for number in range(8):
        pixels = generator.integers(0, 255, (70 + number, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number}.png")
        rows.append(f"{number}.png,{'ab'[number % 2]}")
    write(tmp_path / "oracle.csv", "image,label", *rows[:6])
    write(tmp_path / "test.csv", "image,label", *rows[6:])
    return tmp_path


def test_train_reports_the_photo_defaults(photos: Path) -> None:
    ended = dfal("train", "--images", photos / "images", "--labels", photos / "oracle.csv", "--epochs", 1,
                 "--out", photos / "m.safetensors")  # fmt: skip
    assert ended.code == 0, ended.stderr
    network = load_checkpoint(photos / "m.safetensors")
    assert network.input_shape == (3, 64, 64)
    assert network.metadata["architecture"]["name"] == "resnet18"
    said = ("network: resnet18 (--arch)", "patience: 50 (--patience)", "monitor: accuracy (--monitor)")
    assert "\n".join([*said, "augment: photo (--augment)\n"]) in ended.stderr


def test_train_says_what_to_do_instead_of_training_on_few_photos_from_scratch(photos: Path) -> None:
    def warnings(*further: object) -> list[str]:
        ended = dfal("train", "--images", photos / "images", "--labels", photos / "oracle.csv", "--epochs", 1,
                     "--out", photos / "m.safetensors", "--device", "cpu", "--json", *further)  # fmt: skip
        return [warning for warning in ended.json["warnings"] if "dfal train --embeddings" in warning]

    (warning,) = warnings()
    assert warning.startswith("6 labelled photos are too few to train a network from scratch; ")
    assert warnings("--init", photos / "m.safetensors", "--out", photos / "n.safetensors") == []


def test_simulate_uses_and_reports_the_photo_defaults(photos: Path) -> None:
    ended = dfal("simulate", "--images", photos / "images", "--labels", photos / "oracle.csv", "--epochs", 1, "--test",
                 photos / "test.csv", "--strategies", "random", "--initial", 4, "--count", 1, "--budget", 5,
                 "--jobs", 1, "--out", photos / "out")  # fmt: skip
    assert ended.code == 0, ended.stderr
    report = (photos / "out" / "report.html").read_text()
    for name, value in (("arch", "resnet18"), ("augment", "photo"), ("input", "64 × 64, colour")):
        assert f"<dt>{name}</dt><dd>{value}</dd>" in report
