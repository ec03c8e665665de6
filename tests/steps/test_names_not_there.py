"""Every command that reads a table says which of its images are not there, and knows an image in either normal form."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from unicodedata import normalize

import pytest

from dfal_cli.tables import read_csv, read_labelled_embeddings
from tests.conftest import Ended, dfal, draw_divided_folder, write

NFC, NFD = (normalize(form, "é.png") for form in ("NFC", "NFD"))
OTHER_SPELLINGS: dict[str, Callable[[str], str]] = {
    "folder": lambda image: f"images/{image}",
    "suffix": lambda image: image.removesuffix(".png"),
    "blank": lambda image: f"{image} ",
    "drive": lambda image: f"C:\\data\\{image}",
    "address": lambda image: f"http://localhost:8080/{image}",
    "case": str.upper,
}


@pytest.fixture
def project(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the trained folder, as the working directory."""
    root = shutil.copytree(trained, tmp_path / "project")
    monkeypatch.chdir(root)
    return root


def score(*further: object, out: str = "s.parquet") -> Ended:
    return dfal(
        "score", "--images", "images", "--checkpoint", "model.safetensors", "--out", out, "--nearest", 0,
        "--device", "cpu", *further,
    )  # fmt: skip


def first_list(*further: object) -> Ended:
    return dfal("select", "--images", "images", "--strategy", "random", "--count", 99, "--out", "q.csv", *further)


@pytest.mark.parametrize("spelling", OTHER_SPELLINGS)
@pytest.mark.parametrize("option", ["--labels", "--exclude"])
@pytest.mark.parametrize("command", [score, first_list])
def test_a_table_in_another_spelling_is_refused_with_the_likely_cause(
    project: Path, command: Callable[..., Ended], option: str, spelling: str
) -> None:
    rows = [(OTHER_SPELLINGS[spelling](f"{number:03d}.png"), "dark") for number in range(10)]
    write(project / "t.csv", "image,label", *(f"{image},{label}" for image, label in rows))
    ended = command(option, "t.csv")
    assert ended.code == 3
    assert "10 of 10 images in t.csv are not under images; the first: " in ended.stderr
    assert "but 000.png exists (line 2)" in ended.stderr


@pytest.mark.parametrize("command", [score, first_list])
def test_labelled_and_excluded_images_are_counted(project: Path, command: Callable[..., Ended]) -> None:
    write(project / "l.csv", "image,label", "000.png,dark", "001.png,__skip__", "002.png,", "gone.png,dark")
    write(project / "x.csv", "image", "000.png", "003.png", "004.png", "005.png")
    told = command("--labels", "l.csv", "--exclude", "x.csv", "--json")
    assert told.json["counts"] | {"pool": 35, "labelled": 2, "excluded": 3} == told.json["counts"]
    assert "1 of 3 images in l.csv is not under images; the first: gone.png (line 5)\n" in told.stderr
    assert not any("gone.png" in warning for warning in told.json["warnings"]), "it does no harm"
    for output in told.json["outputs"]:
        Path(output).unlink()
    assert "2 labelled, 3 excluded" in command("--labels", "l.csv", "--exclude", "x.csv").stderr


def test_either_normal_form_names_the_image_on_disk(project: Path) -> None:
    (project / "images" / "000.png").rename(project / "images" / NFD)
    (project / "images" / "001.png").rename(project / "images" / f"x{NFC}")
    write(project / "l.csv", "image,label", f"{NFC},dark", "002.png,light")
    write(project / "x.csv", "image", normalize("NFD", f"x{NFC}"))
    ended = score("--labels", "l.csv", "--exclude", "x.csv", "--measure", "embedding", "--json")
    assert (ended.code, ended.json["counts"]["pool"], ended.json["warnings"]) == (0, 37, [])
    images, _ = read_labelled_embeddings(Path("s.parquet")) or ([], None)
    assert images == ["002.png", NFD]
    assert first_list("--labels", "l.csv", "--exclude", "x.csv").code == 0
    assert set(read_csv(Path("q.csv"), ["image"])["image"]) == {f"{number:03d}.png" for number in range(3, 40)}


def test_what_has_been_labelled_since_in_the_other_normal_form_is_not_asked_about(project: Path) -> None:
    (project / "images" / "000.png").rename(project / "images" / NFD)
    assert score().code == 0
    write(project / "l.csv", "image,label", f"{NFC},dark")
    ended = dfal(
        "select", "--scores", "s.parquet", "--strategy", "entropy", "--labels", "l.csv", "--count", 99, "--out", "q.csv"
    )
    assert ended.code == 0
    assert len(read_csv(Path("q.csv"), ["image"])) == 39


def test_train_takes_either_normal_form_and_says_what_is_there_instead(in_tmp: Path) -> None:
    draw_divided_folder(in_tmp)
    (in_tmp / "images" / "000.png").rename(in_tmp / "images" / NFD)
    pool = (in_tmp / "pool.csv").read_text()

    def train(labels: str, out: str) -> Ended:
        (in_tmp / "pool.csv").write_text(labels, encoding="utf-8")
        return dfal(
            "train", "--images", "images", "--labels", "pool.csv", "--out", out, "--epochs", 1,
            "--device", "cpu",
        )  # fmt: skip

    assert train(pool.replace("000.png", NFC), "a.safetensors").code == 0
    ended = train(pool.replace("000.png", NFD).replace("001.png", "images/001.png"), "b.safetensors")
    assert ended.code == 0
    assert "1 of 16 images in pool.csv is not under images; the first: images/001.png, but 001.png exists (line 3)" in (
        ended.stderr
    )


def test_simulate_names_a_similar_image_instead_of_a_missing_one(in_tmp: Path) -> None:
    draw_divided_folder(in_tmp)
    test = (in_tmp / "test.csv").read_text()
    (in_tmp / "test.csv").write_text(test.replace(".png", ".jpg"))
    ended = dfal("simulate", "--images", "images", "--labels", "pool.csv", "--test", "test.csv", "--out", "o")
    assert ended.code == 3
    assert "016.jpg and 7 more: not under images (--images), but 016.png exists" in ended.stderr


def test_train_and_simulate_go_on_without_labelled_images_that_are_not_there(in_tmp: Path) -> None:
    draw_divided_folder(in_tmp)
    for number in (1, 2):
        (in_tmp / "images" / f"{number:03d}.png").unlink()
    shared = ("--images", "images", "--labels", "pool.csv", "--test", "test.csv", "--device", "cpu", "--epochs", 1)
    trained = dfal("train", *shared, "--out", "m.safetensors", "--json")
    assert (trained.code, json.loads(trained.stdout)["counts"]["labelled"]) == (0, 14)
    missing = "2 of 16 images in pool.csv are not under images; the first: 001.png (line 3)"
    assert f"{missing}; training leaves them out" in trained.stderr
    playing = ("--initial", 10, "--count", 2, "--budget", 14, "--trials", 1, "--strategies", "random")
    simulated = dfal("simulate", *shared, *playing, "--out", "o")
    assert (simulated.code, missing in simulated.stderr) == (0, True)


def test_train_and_simulate_count_all_test_images_that_are_not_there_at_once(in_tmp: Path) -> None:
    draw_divided_folder(in_tmp)
    for number in (17, 18, 19):
        (in_tmp / "images" / f"{number:03d}.png").unlink()
    shared = ("--images", "images", "--labels", "pool.csv", "--test", "test.csv")
    trained = dfal("train", *shared, "--out", "m.safetensors", "--device", "cpu")
    assert trained.code == 3
    assert "test.csv, line 3: image '017.png': no such file (3 images are missing: 017.png, 018.png, 019.png)" in (
        trained.stderr
    )
    assert "restore them, or label them __skip__" in trained.stderr
    simulated = dfal("simulate", *shared, "--out", "o")
    assert (simulated.code, "test.csv, line 3: 017.png and 2 more: not under" in simulated.stderr) == (3, True)
    assert "restore them, or label them __skip__" in simulated.stderr


@pytest.mark.parametrize("command", ["train", "simulate"])
def test_labels_of_another_image_root_are_refused(in_tmp: Path, command: str) -> None:
    draw_divided_folder(in_tmp)
    pool = (in_tmp / "pool.csv").read_text()
    (in_tmp / "pool.csv").write_text(pool.replace(".png", ".jpg"))
    ended = dfal(command, "--images", "images", "--labels", "pool.csv", "--test", "test.csv", "--out", "o.safetensors")
    assert ended.code == 3
    assert "16 of 16 images in pool.csv are not under images; the first: 000.jpg, but 000.png exists" in ended.stderr
