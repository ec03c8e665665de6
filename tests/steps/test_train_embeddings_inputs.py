"""train --embeddings: embeddings, labels and options that are accepted, warned of or refused."""

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import dfal, write
from tests.steps.test_train_embeddings import CLASSES, COUNT, VECTORS, house, name_of, rows, store, train

__all__ = ["house"]


def test_labels_of_a_single_class_are_warned_of_although_all_predictions_are_correct(house: Path) -> None:
    write(house / "cats.csv", *rows(range(0, 60, 3)))
    told = train("--class-names", "cat,dog", labels="cats.csv").json
    assert told["validation"]["accuracy"] == 1
    assert told["warnings"] == [
        "all labelled images are of one class: the head cannot have learnt to tell it from others; label images of "
        "other classes"
    ]


def test_a_class_that_has_lost_all_its_images_is_named(house: Path) -> None:
    gone = [f"{name_of(number)}.deleted,owl" for number in range(3)]
    write(house / "labels.csv", *rows(range(60)), *gone)
    told = train().json
    assert told["classes"] == ["cat", "dog", "fox"]
    assert (
        "no image of the class owl is in e.parquet any more; it is not trained, and never predicted"
        in (told["warnings"])
    )


def test_labels_may_come_from_the_folders_in_the_names_of_the_images(house: Path) -> None:
    arguments = ("train", "--embeddings", "e.parquet", "--labels-from-folders", "--test", "test.csv", "--json")
    told = dfal(*arguments, "--out", "m.safetensors").json
    assert told["counts"]["labelled"] == 60
    assert told["classes"] == list(CLASSES)


def test_labelled_images_without_an_embedding_are_left_out_with_a_warning(house: Path) -> None:
    write(house / "labels.csv", *rows(range(60)), "cat/lost.jpg,cat", "dog/lost.jpg,dog")
    told = train().json
    assert told["counts"]["labelled"] == 60
    assert any(
        "2 of 62 images in labels.csv are not in e.parquet; the first: cat/lost.jpg (line 62); training leaves them out"
        in warning
        for warning in told["warnings"]
    )


@pytest.mark.parametrize(
    ("option", "images", "message"),
    [
        ("--labels", ["x.jpg"], "1 of 1 images in other.csv is not in e.parquet; the first: x.jpg"),
        ("--test", ["x.jpg"], "other.csv, line 2: image 'x.jpg': no embedding in e.parquet; embed it, or label it"),
        ("--test", ["CAT/000.JPG"], "no embedding in e.parquet, but cat/000.jpg exists; name images by their paths in"),
        ("--validation", ["x.jpg", "y.jpg"], "2 images are missing: x.jpg, y.jpg); embed them"),
    ],
)
def test_images_without_an_embedding_that_must_have_one_are_refused(
    house: Path, option: str, images: list[str], message: str
) -> None:
    write(house / "other.csv", "image,label", *(f"{image},cat" for image in images))
    ended = train(labels="other.csv") if option == "--labels" else train(option, "other.csv")
    assert ended.code == 3
    assert message in ended.stderr


def test_only_embeddings_of_images_that_are_needed_are_judged(house: Path) -> None:
    vectors = VECTORS.copy()
    vectors[80, 3] = np.nan
    np.save("e.npy", vectors)
    write(house / "e.csv", "image", *(name_of(number) for number in range(COUNT)))
    assert train(embeddings="e.npy").code == 0
    ended = train("--test", "test.csv", "--force", embeddings="e.npy")
    assert ended.code == 3
    assert f"e.npy, row 81: image '{name_of(80)}' has an embedding that is not finite" in ended.stderr


def test_copies_of_an_embedding_under_several_names_are_warned_of(house: Path) -> None:
    vectors = VECTORS.copy()
    vectors[60], vectors[1] = vectors[0], vectors[3]  # a test image, and a dog like a cat
    store(vectors)
    warnings = train("--test", "test.csv").json["warnings"]
    assert any("1 of 30 images in --test is a copy of training images" in warning for warning in warnings)
    assert any("under several names with different labels" in warning for warning in warnings)


def test_zero_vectors_are_warned_of_if_they_are_trained_on(house: Path) -> None:
    vectors = VECTORS.copy()
    vectors[[2, 80]] = 0
    store(vectors)
    (warning,) = (text for text in train().json["warnings"] if "zero vector" in text)
    assert f"1 of 60 embedding is a zero vector, the first that of '{name_of(2)}'" in warning


@pytest.mark.parametrize(
    "option",
    ["--epochs 5", "--image-size 64", "--arch resnet18", "--lr 0.1", "--validation-fraction 0.1", "--device cpu",
     "--cache c", "--pretrained", "--no-mixed-precision", "--color", "--augment flip", "--restarts 2"],
)  # fmt: skip
def test_options_of_networks_are_refused_rather_than_ignored(house: Path, option: str) -> None:
    ended = train(*option.split())
    assert ended.code == 2
    assert option.split(" ", maxsplit=1)[0] in ended.stderr
    assert "no effect with --embeddings; remove it" in ended.stderr


def test_either_images_or_embeddings_must_be_given(house: Path) -> None:
    for further in ([], ["--images", ".", "--embeddings", "e.parquet"]):
        ended = dfal("train", *further, "--labels", "labels.csv", "--out", "m.safetensors")
        assert ended.code == 2
        assert "use either --images" in ended.stderr
