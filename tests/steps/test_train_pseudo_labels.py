"""train --pseudo-labels: predicted labels are trained on, and kept apart from true ones."""

import shutil
from pathlib import Path

import pytest
import torch

from dfal_cli.checkpoint import load_checkpoint, read_checkpoint_metadata
from dfal_cli.training.examples import Examples
from tests.conftest import Ended, dfal, draw_folder, write


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of two classes; labels.csv has the first 20, the others are the pool."""
    root = draw_folder(tmp_path_factory.mktemp("pseudo"), each=20)
    write(root / "labels.csv", *(root / "oracle.csv").read_text().splitlines()[:21])
    return root


@pytest.fixture
def house(folder: Path, in_tmp: Path) -> Path:
    """The folder in a place of its own; the test runs there."""
    shutil.copytree(folder, in_tmp, dirs_exist_ok=True)
    return in_tmp


def pseudo(*rows: str, path: str = "p.csv") -> Path:
    return write(Path(path), "image,pseudo_label", *rows)


def train(*further: object, out: str = "model.safetensors", labels: str = "labels.csv") -> Ended:
    return dfal(
        "train", "--images", "images", "--labels", labels, "--out", out, "--device", "cpu", "--epochs", 1, "--json",
        *further,
    )  # fmt: skip


def test_pseudo_labelled_images_are_trained_on_and_counted(house: Path) -> None:
    pseudo("030.png,dark", "031.png,light", "032.png,dark")
    ended = train("--pseudo-labels", "p.csv", "--validation-fraction", 0.5)
    assert ended.code == 0, ended.stderr
    assert ended.json["counts"] == {"labelled": 20, "pseudo": 3, "twins": 0, "training": 13}
    assert ended.json["validation"]["examples"] == 10
    assert ended.json["classes"] == ["dark", "light"]
    metadata = read_checkpoint_metadata(Path("model.safetensors"))
    assert metadata["counts"]["pseudo"] == 3
    assert len(metadata["pseudo_labels_sha256"]) == 1


def test_pseudo_labels_train_the_network_like_labels(house: Path) -> None:
    """Without a split, labels and pseudo-labels in the same order are the same training."""
    rows = (house / "oracle.csv").read_text().splitlines()[1:]
    write(house / "few.csv", "image,label", *rows[:4])
    write(house / "all.csv", "image,label", *rows[:8])
    pseudo(*rows[4:8])
    assert train("--pseudo-labels", "p.csv", out="a.safetensors", labels="few.csv").code == 0
    assert train(out="b.safetensors", labels="all.csv").code == 0
    one, other = (load_checkpoint(Path(name)).model.state_dict() for name in ("a.safetensors", "b.safetensors"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_pseudo_labels_of_labelled_or_held_out_images_are_left_out_and_counted(house: Path) -> None:
    write(house / "labels.csv", *(house / "oracle.csv").read_text().splitlines()[:21], "030.png,__skip__", "031.png,")
    write(house / "validation.csv", "image,label", "032.png,dark", "033.png,light")
    write(house / "test.csv", "image,label", "034.png,dark")
    pseudo(*(f"{number:03d}.png,light" for number in (0, 30, 31, 32, 33, 34, 35)))
    ended = train("--pseudo-labels", "p.csv", "--validation", "validation.csv", "--test", "test.csv")
    assert ended.json["counts"]["pseudo"] == 2  # 031.png is blank, that is in the pool; and 035.png
    assert "training leaves out 5 pseudo-labels of images in --labels, --validation or --test" in ended.stderr
    assert (ended.json["validation"]["examples"], ended.json["test"]["examples"]) == (2, 1)


def test_several_files_are_combined_and_may_repeat_rows(house: Path) -> None:
    pseudo("030.png,dark", "031.png,light")
    pseudo("031.png,light", "032.png,dark", path="more.csv")
    ended = train("--pseudo-labels", "p.csv", "--pseudo-labels", "more.csv")
    assert ended.json["counts"]["pseudo"] == 3


def test_a_file_without_rows_changes_nothing(house: Path) -> None:
    pseudo()
    assert train("--pseudo-labels", "p.csv", out="a.safetensors").json["counts"]["pseudo"] == 0
    assert train(out="b.safetensors").code == 0
    one, other = (load_checkpoint(Path(name)).model.state_dict() for name in ("a.safetensors", "b.safetensors"))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            ("030.png,dark", "031.png,cow"),
            "p.csv, line 3: image '031.png': pseudo-label 'cow' is not among the classes",
        ),
        (("030.png,dark", "031.png,"), "p.csv, line 3: image '031.png': pseudo-label '' is not among the classes"),
        (("030.png,dark", "030.png,light"), "p.csv, line 3: image '030.png': pseudo-label 'light' differs from an"),
    ],
)
def test_a_wrong_pseudo_label_is_bad_data_with_file_and_line(house: Path, rows: tuple[str, ...], said: str) -> None:
    pseudo(*rows)
    ended = train("--pseudo-labels", "p.csv")
    assert ended.code == 3
    assert said in ended.stderr
    assert not Path("model.safetensors").exists()


def test_a_pseudo_label_of_a_missing_image_is_left_out_with_a_warning(house: Path) -> None:
    pseudo("030.png,dark", "absent.png,dark")
    ended = train("--pseudo-labels", "p.csv")
    assert (ended.code, ended.json["counts"]["pseudo"]) == (0, 1)
    assert "1 of 2 images in p.csv is not under images; the first: absent.png (line 3)" in ended.stderr


def test_a_missing_file_and_a_labels_file_are_refused(house: Path) -> None:
    assert train("--pseudo-labels", "absent.csv").code == 2
    ended = train("--pseudo-labels", "labels.csv")
    assert ended.code == 3
    assert "labels.csv, line 1: no column pseudo_label" in ended.stderr


def test_a_pseudo_labels_file_is_not_accepted_as_labels(house: Path) -> None:
    pseudo("030.png,dark", "031.png,light")
    before = (house / "labels.csv").read_bytes()
    for ended in (
        train(labels="p.csv"),
        train("--validation", "p.csv"),
        dfal("merge", "--queries", "p.csv", "--labels", "labels.csv"),
        dfal("merge", "--queries", "labels.csv", "--labels", "p.csv"),
    ):
        assert ended.code == 3
        assert "p.csv, line 1: no column label: this file holds pseudo-labels" in ended.stderr
    assert (house / "labels.csv").read_bytes() == before


def test_other_pseudo_labels_or_images_make_another_checkpoint_and_equal_ones_are_up_to_date(house: Path) -> None:
    pseudo("030.png,dark")
    assert train("--pseudo-labels", "p.csv").code == 0
    assert train("--pseudo-labels", "p.csv").json["status"] == "up to date"
    shutil.copy("p.csv", "renamed.csv")
    assert train("--pseudo-labels", "renamed.csv").json["status"] == "up to date"
    assert train().code == 2
    shutil.copy(house / "images" / "031.png", house / "images" / "030.png")
    assert train("--pseudo-labels", "p.csv").code == 2
    pseudo("030.png,light")
    assert train("--pseudo-labels", "p.csv").code == 2


def test_a_label_that_becomes_a_pseudo_label_makes_another_checkpoint(house: Path) -> None:
    rows = (house / "labels.csv").read_text().splitlines()
    assert train().code == 0
    write(house / "labels.csv", *rows[:-1])
    pseudo(rows[-1])
    assert train("--pseudo-labels", "p.csv").code == 2


def test_with_a_cache_the_checkpoint_is_the_same_bytes(house: Path) -> None:
    pseudo("030.png,dark", "031.png,light")
    for out, cache in (("a.safetensors", ()), ("b.safetensors", ("--cache", "c")), ("c.safetensors", ("--cache", "c"))):
        assert train("--pseudo-labels", "p.csv", *cache, out=out).code == 0
    assert Path("a.safetensors").read_bytes() == Path("b.safetensors").read_bytes()
    assert Path("a.safetensors").read_bytes() == Path("c.safetensors").read_bytes()


def test_examples_that_follow_others_keep_their_twins() -> None:
    def examples(*values: int, twin_of: tuple[int, ...]) -> Examples:
        pixels = torch.tensor(values, dtype=torch.uint8)[:, None, None, None]
        owners = torch.tensor(twin_of, dtype=torch.int64)
        return Examples(pixels, torch.tensor(values), pixels[owners] / 255, owners)

    joined = examples(1, 2, twin_of=(1,)).followed_by(examples(3, 4, 5, twin_of=(2, 0)))
    images, labels = joined.batch(torch.arange(8), torch.device("cpu"))
    assert labels.tolist() == [1, 2, 3, 4, 5, 2, 5, 3]
    assert (images.flatten() * 255).round().tolist() == labels.tolist()
