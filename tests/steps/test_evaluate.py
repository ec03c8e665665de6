"""evaluate: the figures of train on the same set, what is not comparable, and the page."""

import base64
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dfal_cli.models.head_file import save_head
from dfal_cli.statistics.calibration import MIN_EXAMPLES
from dfal_cli.steps.evaluate.checks import ONLY_OF_IMAGES
from dfal_cli.steps.evaluate.options import EvaluateOptions
from dfal_cli.steps.option import options_of
from dfal_cli.tables.embeddings import write_embeddings
from tests.conftest import Ended, dfal, write
from tests.page import Page
from tests.steps.embedding import draw_photos, embedded, paint
from tests.steps.heads import CLASSES, DIMENSION, logits, make_head, make_project, names, vectors

COUNT = 40


@pytest.fixture
def project(in_tmp: Path) -> Path:
    """A head, embeddings, and test.csv, in which the first five images of each class have the label of another."""
    return with_labels(make_project(in_tmp, COUNT))


def with_labels(root: Path, *, unknown: int = 0) -> Path:
    """Write test.csv: the predicted classes, but for six wrong ones, and some images of a class that is not known."""
    labels = [CLASSES[code] for code in logits(COUNT).argmax(1)]
    for place in range(6):
        labels[place] = CLASSES[(CLASSES.index(labels[place]) + 1) % len(CLASSES)]
    labels[COUNT - unknown :] = ["wasp"] * unknown
    write(
        root / "test.csv", "image,label", *(f"{name},{label}" for name, label in zip(names(COUNT), labels, strict=True))
    )
    return root


def evaluate(*further: object, checkpoint: str = "head.safetensors", test: str = "test.csv") -> Ended:
    return dfal(
        "evaluate", "--embeddings", "e.parquet", "--checkpoint", checkpoint, "--test", test, *further
    )  # fmt: skip


def evaluated(*further: object, **settings: str) -> dict:
    ended = evaluate(*further, "--json", **settings)
    assert ended.code == 0, ended.stderr
    return ended.json


def test_a_network_has_the_figures_that_train_reports_of_the_same_set(in_tmp: Path, trained: Path) -> None:
    rows = (trained / "oracle.csv").read_text().splitlines()
    write(in_tmp / "test.csv", rows[0], *rows[25:], "000.png,grey")
    write(in_tmp / "labels.csv", *rows[:20])
    data = ("--images", trained / "images", "--device", "cpu", "--json")
    train = dfal(
        "train", *data, "--labels", "labels.csv", "--test", "test.csv", "--out", "m.safetensors", "--epochs", 2
    )  # fmt: skip
    report = dfal("evaluate", *data, "--checkpoint", "m.safetensors", "--test", "test.csv").json["test"]
    expected = train.json["test"]
    assert report["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert {**report, "loss": 0} == {**expected, "loss": 0}


def test_a_head_has_the_figures_that_train_reports_and_knows_its_test_set(in_tmp: Path) -> None:
    count = 3 * MIN_EXAMPLES
    make_project(in_tmp, count)
    targets = logits(count).argmax(1)
    targets[::7] = (targets[::7] + 1) % 3
    rows = [f"{name},{CLASSES[code]}" for name, code in zip(names(count), targets, strict=True)]
    write(in_tmp / "labels.csv", "image,label", *rows[:50])
    write(in_tmp / "test.csv", "image,label", *rows[50:])
    data = ("train", "--embeddings", "e.parquet", "--labels", "labels.csv", "--test", "test.csv")
    trained = dfal(*data, "--out", "m.safetensors", "--json").json
    found = evaluated(checkpoint="m.safetensors")
    assert found["test"]["loss"] == pytest.approx(trained["test"]["loss"], rel=1e-5)
    assert {**found["test"], "loss": 0} == {**trained["test"], "loss": 0}
    calibration = trained["calibration"]
    assert found["calibration"] == {
        "temperature": calibration["temperature"], "found_on_these_images": True,
        "error_before": pytest.approx(calibration["error_before"]), "error_after": calibration["error_after"],
    }  # fmt: skip
    write(in_tmp / "fewer.csv", "image,label", *rows[60:])
    assert not evaluated(checkpoint="m.safetensors", test="fewer.csv")["calibration"]["found_on_these_images"]


def test_precision_is_the_share_right_of_what_is_called_a_class(project: Path) -> None:
    found = evaluated()
    predicted = logits(COUNT).argmax(1)
    rows = (project / "test.csv").read_text().splitlines()[1:]
    labels = np.array([CLASSES.index(row.split(",")[1]) for row in rows])
    assert found["precision"] == {
        name: pytest.approx((labels[predicted == code] == code).mean()) for code, name in enumerate(CLASSES)
    }
    assert found["counts"]["correct"] == COUNT - 6


def test_classes_that_the_checkpoint_does_not_know_are_named_and_wrong(project: Path) -> None:
    with_labels(project, unknown=4)
    found = evaluated()
    assert (
        "4 of 40 images in --test have classes that the checkpoint does not know (wasp) and count as wrong"
        in (found["warnings"])
    )
    assert found["test"]["class_accuracy"]["wasp"] == 0
    assert found["counts"]["correct"] == COUNT - 10
    assert found["test"]["accuracy"] == (COUNT - 10) / COUNT


def test_images_that_the_checkpoint_was_trained_on_are_named_and_can_be_left_out(project: Path) -> None:
    rows = (project / "test.csv").read_text().splitlines()
    write(project / "labels.csv", *rows[:16])
    train = ("train", "--embeddings", "e.parquet", "--labels", "labels.csv", "--out", "m.safetensors")
    assert dfal(*train).code == 0
    found = evaluated(checkpoint="m.safetensors")
    assert "15 of 40 images in --test are images that the checkpoint was trained on" in found["warnings"][0]
    assert found["trained_on"] == names(15)
    without = evaluated("--exclude", "labels.csv", checkpoint="m.safetensors")
    assert without["warnings"] == []
    assert without["counts"]["images"] == 25
    assert evaluate("--exclude", "test.csv").code == 3


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["000.png,"], "no image has a label; --test needs labelled images"),
        (["000.png,ant", "gone.png,ant"], "gone.png"),
    ],
)  # fmt: skip
def test_a_set_that_cannot_be_evaluated_is_refused(project: Path, rows: list[str], said: str) -> None:
    write(project / "test.csv", "image,label", *rows)
    ended = evaluate()
    assert ended.code == 3
    assert said in ended.stderr


def test_an_unreadable_image_is_refused_with_its_line(in_tmp: Path, trained: Path) -> None:
    write(in_tmp / "images/broken.png", "no image")
    write(in_tmp / "test.csv", "image,label", "broken.png,dark")
    ended = dfal(
        "evaluate", "--images", "images", "--checkpoint", trained / "model.safetensors", "--test", "test.csv",
        "--device", "cpu",
    )  # fmt: skip
    assert ended.code == 3
    assert "test.csv, line 2: image 'broken.png'" in ended.stderr


def test_embeddings_of_another_length_are_refused(project: Path) -> None:
    write_embeddings(project / "e.parquet", [(names(COUNT), np.ones((COUNT, DIMENSION + 1), np.float32))], {})
    ended = evaluate()
    assert ended.code == 3
    assert "its embeddings have 7 numbers" in ended.stderr


@pytest.mark.parametrize("name", sorted(ONLY_OF_IMAGES))
def test_options_without_meaning_for_embeddings_are_refused(project: Path, name: str) -> None:
    values = {"cache": "c", "cache_limit": "1GB", "arch": "a", "device": "cpu", "workers": 1}
    declared = next(each for each in options_of(EvaluateOptions) if each.name == name)
    ended = evaluate(declared.spelling, *([] if declared.kind is bool else [values[name]]))
    assert (ended.code, f"{declared.spelling}: no effect with --embeddings" in ended.stderr) == (2, True)


HOSTILE = ("<script>alert(1)</script>", "../x", "a\nb")


def with_photos(project: Path, side: int = 300) -> None:
    """Give each image a photo of noise, the hardest to compress, and name their folder in the embeddings."""
    generator = np.random.default_rng(0)
    (project / "photos").mkdir()
    for name in names(COUNT):
        pixels = generator.integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(project / "photos" / name)
    write_embeddings(project / "e.parquet", [(names(COUNT), vectors(COUNT))], {"backbone": "x", "image_root": "photos"})


def test_the_page_says_the_accuracy_in_words_and_shows_the_confused_images(project: Path) -> None:
    with_photos(project)
    with_labels(project, unknown=4)
    assert evaluate("--out", "page.html").stdout == "page.html\n"
    page = Path("page.html").read_text()
    text = Page(Path("page.html")).text
    assert f"{COUNT - 10} of {COUNT} images are classified correctly: 75.0 %" in text
    assert "that the checkpoint does not know (wasp)" in text
    pictures = re.findall(r'src="data:image/(?:webp|png);base64,([^"]+)"', page)
    assert len(pictures) == 10
    assert max(len(base64.b64decode(picture)) for picture in pictures) < 50_000
    assert len(page) < 6_000_000
    assert "http" not in page.replace("http-equiv", ""), "it loads nothing"
    assert "twin" not in text.lower()
    before = Path("page.html").read_bytes()
    assert evaluate("--out", "page.html").code == 0
    assert Path("page.html").read_bytes() == before


def test_hostile_class_names_are_text_on_the_page(project: Path) -> None:
    make_head(project / "head.safetensors", HOSTILE)
    labels = [HOSTILE[(code + (place < 5)) % 3] for place, code in enumerate(logits(COUNT).argmax(1))]
    rows = (f'{name},"{label}"' for name, label in zip(names(COUNT), labels, strict=True))
    write(project / "test.csv", "image,label", *rows)
    assert evaluate("--out", "page.html").code == 0
    page = Path("page.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "the images are not at hand" in " ".join(Page(Path("page.html")).text.lower().split())


def test_a_page_of_many_classes_lists_them_by_recall(in_tmp: Path) -> None:
    classes = tuple(f"class {place:02d}" for place in range(25))
    generator = np.random.default_rng(0)
    save_head(
        in_tmp / "head.safetensors", generator.normal(size=(25, DIMENSION)), np.zeros(25), classes=classes,
        embeddings={}, backbone=None, extra_metadata={},
    )  # fmt: skip
    write_embeddings(in_tmp / "e.parquet", [(names(100), vectors(100))], {})
    rows = (f"{name},{classes[place % 25]}" for place, name in enumerate(names(100)))
    write(in_tmp / "test.csv", "image,label", *rows)
    assert evaluate("--out", "page.html").code == 0
    text = Page(Path("page.html")).text
    assert "most often taken for" in text


def test_somebody_elses_page_is_not_overwritten(project: Path) -> None:
    write(project / "page.html", "<p>mine</p>")
    ended = evaluate("--out", "page.html")
    assert (ended.code, ended.stdout) == (2, "")
    assert "was not written by `dfal evaluate`" in ended.stderr
    assert Path("page.html").read_text() == "<p>mine</p>\n"
    assert evaluate("--out", "page.html", "--force").code == 0


def test_images_whose_logits_are_not_finite_are_counted_in_a_warning(in_tmp: Path) -> None:
    draw_photos(in_tmp)
    images = embedded().images
    write(in_tmp / "labels.csv", "image,label", *(f"{image},{'xy'[place % 2]}" for place, image in enumerate(images)))
    train = ("train", "--embeddings", "e.parquet", "--labels", "labels.csv", "--out", "head.safetensors")
    assert dfal(*train).code == 0
    paint(in_tmp / "photos/a/00.png", np.full((2, 2, 3), 255))  # the backbone gives nan for white
    ended = dfal(
        "evaluate", "--images", "photos", "--checkpoint", "head.safetensors", "--test", "labels.csv", "--trust-code",
        "--device", "cpu", "--out", "page.html",
    )  # fmt: skip
    assert ended.code == 0, ended.stderr
    text = Page(Path("page.html")).text
    assert "the logits of 1 of 12 images are not finite: their predictions mean nothing" in text
    assert "nan" not in text
