"""train: duplicates of an image under several names."""

import shutil
from pathlib import Path

import pytest

from dfal_cli.training.loading import load_training_data
from tests.conftest import dfal, draw_divided_folder, write


@pytest.fixture
def house(in_tmp: Path) -> Path:
    """pool.csv has labels for 16 images, test.csv for 8 others, of which two are copies of pool images."""
    draw_divided_folder(in_tmp)
    for copy, original in (("016.png", "000.png"), ("017.png", "001.png")):
        shutil.copyfile(in_tmp / "images" / original, in_tmp / "images" / copy)
    return in_tmp


def warnings(*further: object, labels: str = "pool.csv") -> list[str]:
    ended = dfal(
        "train", "--images", "images", "--labels", labels, "--out", "m.safetensors", "--epochs", 1,
        "--device", "cpu", "--json", *further,
    )  # fmt: skip
    assert ended.code == 0, ended.stderr
    return [
        warning for warning in ended.json["warnings"] if "evidence that the network has learnt" not in warning
    ]  # in one epoch


@pytest.mark.parametrize("name", ["test", "validation"])
def test_copies_of_training_images_in_validation_and_test_sets_are_counted(house: Path, name: str) -> None:
    (warning,) = warnings(f"--{name}", "test.csv")
    assert f"2 of 8 images in --{name}" in warning
    assert "016.png equals 000.png" in warning


def test_an_image_in_both_sets_under_one_name_is_counted_once(house: Path) -> None:
    write(house / "both.csv", "image,label", "000.png,dark", "018.png,dark")
    (warning,) = warnings("--test", "both.csv")
    assert "1 image is in --labels and in --test" in warning


def test_an_image_with_two_labels_under_two_names_is_warned_of_with_both_names(house: Path) -> None:
    shutil.copyfile(house / "images" / "000.png", house / "images" / "003.png")  # dark, and light
    (warning,) = warnings()
    assert "1 image is in --labels under several names with different labels" in warning
    assert "000.png ('dark') and 003.png ('light')" in warning


def test_missing_images_are_not_duplicates(house: Path) -> None:
    for name in ("016.png", "017.png"):
        (house / "images" / name).unlink()
    write(house / "test.csv", "image,label", "018.png,dark", "019.png,light")
    assert warnings("--test", "test.csv") == []


def test_simulate_counts_copies_between_oracle_and_test(house: Path) -> None:
    ended = dfal(
        "simulate", "--images", "images", "--labels", "pool.csv", "--test", "test.csv", "--out", "out", "--epochs", 1,
        "--strategies", "random", "--initial", 4, "--count", 4, "--budget", 8, "--device", "cpu", "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.stderr
    assert any("2 of 8 test images are copies of images in the oracle" in text for text in ended.json["warnings"])


def test_duplicates_stay_on_one_side_of_the_validation_split(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(0, 24, 4):  # dark, light, and the same again
        for name in (number, number + 1):
            shutil.copyfile(house / "images" / f"{name:03d}.png", house / "images" / f"{name + 2:03d}.png")
    loaded = []
    monkeypatch.setattr(
        "dfal_cli.steps.train.network.load_training_data",
        lambda *told, **named: loaded.append(load_training_data(*told, **named)) or loaded[0],
    )
    warnings("--validation-fraction", 0.7, labels="oracle.csv")
    training, validation = ({image.numpy().tobytes() for image in part.images} for part in loaded[0][1:3])
    assert len(training) + len(validation) == 10, "all content_hashes of the folder"
    assert not training & validation
