"""A folder per class is as good as a labels file: for merge, train and simulate."""

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import Ended, dfal, draw_divided_folder, write

SIMULATED = (
    "--strategies", "random", "--initial", 4, "--count", 4, "--budget", 8, "--epochs", 1, "--device", "cpu",
    "--jobs", 1,
)  # fmt: skip


@pytest.fixture
def sorted_images(in_tmp: Path) -> Path:
    """images/dark/ and images/deep/light/ with 12 images each, one in images/; test.csv has 4 of each class."""
    draw_divided_folder(in_tmp / "flat")
    _, *rows = (in_tmp / "flat" / "oracle.csv").read_text().splitlines()
    test = ["image,label"]
    for number, row in enumerate(rows):
        image, label = row.split(",")
        folder = {"dark": "dark", "light": "deep/light"}[label]
        (in_tmp / "images" / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(in_tmp / "flat" / "images" / image, in_tmp / "images" / folder / image)
        test += [f"{folder}/{image},{label}"] if number >= 16 else []
    shutil.copy(in_tmp / "flat" / "images" / "000.png", in_tmp / "images" / "000.png")
    write(in_tmp / "test.csv", *test)
    return in_tmp


def merge(*arguments: object) -> Ended:
    return dfal("merge", "--labels", "labels.csv", *arguments)


def labels() -> dict[str, str]:
    rows = Path("labels.csv").read_text().splitlines()[1:]
    return {image: label for image, label, _ in (row.split(",") for row in rows)}


LEFT_OUT = "1 image is directly in images, not in the folder of a class"


def test_merge_takes_the_folder_that_holds_an_image_for_its_class(sorted_images: Path) -> None:
    ended = merge("--queries", "images", "--json")
    assert (ended.code, ended.json["warnings"]) == (0, [LEFT_OUT])
    assert ended.json["counts"]["merged"] == 24
    assert (labels()["dark/000.png"], labels()["deep/light/001.png"]) == ("dark", "light")
    assert merge("--queries", "images", "--json").json["status"] == "up to date"


@pytest.mark.parametrize(
    ("links", "told"),
    [(("a",), "images: 1 image cannot be read: 'dark/a.png'"),
     (("a", "b"), "images: 2 images cannot be read, the first: 'dark/a.png'")],
    ids=["one", "two"],
)  # fmt: skip
def test_merge_counts_what_cannot_be_read_in_the_folders(
    sorted_images: Path, links: tuple[str, ...], told: str
) -> None:
    for name in links:
        (sorted_images / "images" / "dark" / f"{name}.png").symlink_to("nowhere.png")
    assert any(warning.startswith(told) for warning in merge("--queries", "images", "--json").json["warnings"])


def test_merge_names_the_images_of_a_part_relative_to_the_image_root(sorted_images: Path) -> None:
    assert merge("--queries", "images/deep", "--images", "images").code == 0
    assert set(labels().values()) == {"light"}
    assert "deep/light/001.png" in labels()


def test_merge_refuses_a_folder_outside_the_image_root_whose_images_are_not_all_in_it(sorted_images: Path) -> None:
    ended = merge("--queries", "flat", "--images", "images")
    assert (ended.code, Path("labels.csv").exists()) == (3, False)
    assert "flat, images/000.png: 'images/000.png' may be '000.png' or 'dark/000.png'" in ended.stderr
    (sorted_images / "empty").mkdir()
    ended = merge("--queries", "empty", "--images", "images")
    assert (ended.code, "empty: is not inside the image root images (--images)" in ended.stderr) == (2, True)


def test_merge_follows_links_as_the_other_commands_do(sorted_images: Path) -> None:
    shutil.move(sorted_images / "images", sorted_images / "root" / "all")
    for number in (0, 2):
        link = sorted_images / "root" / "sorted" / "cat" / f"{number}.png"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"../../all/dark/00{number}.png")
    ended = merge("--queries", "root/sorted", "--images", "root")
    assert (ended.code, labels()) == (0, {"sorted/cat/0.png": "cat", "sorted/cat/2.png": "cat"}), ended.stderr
    refused = merge("--queries", "root/sorted")
    assert refused.code == 2
    for part in (
        "a folder without class folders (--queries): 2 images cannot be read",
        "a link that leaves the image root; use --follow-links",
    ):
        assert part in refused.stderr
    assert merge("--queries", "root/sorted", "--follow-links", "--out", "out.csv").code == 0
    assert "\ncat/0.png,cat,\n" in Path("out.csv").read_text()
    (sorted_images / "root" / "away").symlink_to(sorted_images / "flat")
    refused = merge("--queries", "root/away", "--images", "root")
    assert (refused.code, "'away/': a link that leaves the image root" in refused.stderr) == (2, True)


def test_folders_that_differ_in_case_are_asked_about(sorted_images: Path) -> None:
    (sorted_images / "images" / "deep" / "light").rename(sorted_images / "images" / "deep" / "Dark")
    ended = merge("--queries", "images")
    assert ended.code == 3
    assert "images/deep/Dark/001.png: 'Dark' is a new class that differs from 'dark'" in ended.stderr
    assert "see images/dark/000.png" in ended.stderr


def train(*arguments: object) -> Ended:
    return dfal("train", "--images", "images", "--out", "m.safetensors", "--epochs", 1, "--device", "cpu", *arguments)


def test_train_takes_labels_from_folders_but_for_what_it_is_measured_on(sorted_images: Path) -> None:
    ended = train("--labels-from-folders", "--test", "test.csv", "--json")
    assert ended.code == 0, ended.stderr
    assert (ended.json["counts"]["labelled"], ended.json["classes"]) == (16, ["dark", "light"])
    assert LEFT_OUT in ended.json["warnings"]
    assert "training leaves out 8 images in --validation or --test" in ended.stderr
    again = train("--labels-from-folders", "--test", "test.csv", "--json")
    assert again.json["status"] == "up to date"
    (sorted_images / "images" / "dark" / "002.png").rename(sorted_images / "images" / "deep" / "light" / "002.png")
    assert train("--labels-from-folders", "--test", "test.csv").code == 2


def test_labelled_files_that_are_not_read_are_reported(sorted_images: Path) -> None:
    for name in ("a.png", "b.png"):
        (sorted_images / "images" / "dark" / name).symlink_to(sorted_images / "flat" / "images" / "000.png")
    (sorted_images / "images" / "dark" / "c.psd").write_bytes(b"")
    simulated = dfal(
        "simulate", "--images", "images", "--labels-from-folders", "--test", "test.csv", "--out", "o", *SIMULATED
    )
    for ended in (train("--labels-from-folders"), merge("--queries", "images"), simulated):
        assert ended.code == 0, ended.stderr
        assert "warning: images: 2 images cannot be read, the first: 'dark/a.png': a link that leaves" in ended.stderr
        assert "warning: 1 other file is not read: 1 .psd" in ended.stderr


def test_train_and_simulate_take_either_a_labels_file_or_the_folders(sorted_images: Path) -> None:
    for arguments in ((), ("--labels", "test.csv", "--labels-from-folders")):
        for ended in (
            train(*arguments),
            dfal("simulate", "--images", "images", "--test", "test.csv", "--out", "o", *arguments),
        ):
            assert ended.code == 2
            assert "use either --labels or --labels-from-folders" in ended.stderr


def test_a_folder_without_folders_has_no_classes(sorted_images: Path) -> None:
    ended = dfal(
        "train", "--images", "flat/images", "--labels-from-folders", "--out", "m.safetensors", "--device", "cpu"
    )
    assert ended.code == 3
    assert "flat/images: has no folders of images" in ended.stderr
    write(sorted_images / "flat_test.csv", "image,label", "000.png,dark", "001.png,light")
    ended = dfal(
        "simulate", "--images", "flat/images", "--labels-from-folders", "--test", "flat_test.csv", "--out", "o",
        *SIMULATED,
    )  # fmt: skip
    assert (ended.code, "flat/images: the oracle has no labels" in ended.stderr) == (3, True), ended.stderr


def test_an_image_of_a_folder_that_cannot_be_read_is_named(sorted_images: Path) -> None:
    (sorted_images / "images" / "dark" / "000.png").write_bytes(b"none")
    ended = train("--labels-from-folders")
    assert ended.code == 3
    assert "images: image 'dark/000.png': not an image" in ended.stderr


def test_simulate_plays_the_folders_without_the_test(sorted_images: Path) -> None:
    ended = dfal(
        "simulate", "--images", "images", "--labels-from-folders", "--test", "test.csv", "--out", "o", *SIMULATED,
        "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.stderr
    assert json.loads(ended.stdout)["counts"]["oracle"] == 16
    assert LEFT_OUT in ended.json["warnings"]
