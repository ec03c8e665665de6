"""train --embeddings: a head on the embeddings of dfal or of another program, and reports as for a network."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from dfal_cli.models.head_file import load_head
from dfal_cli.system.fingerprints import canonical_json
from dfal_cli.tables.embeddings import write_embeddings
from dfal_cli.tables.vectors import Values, unit_length
from dfal_cli.training.head import fit_head
from tests.conftest import Ended, dfal, write

CLASSES = ("cat", "dog", "fox")
COUNT, DIMENSION = 90, 12
BACKBONE = {
    "backbone": "lite0", "weights_sha256": "abc", "dimension": DIMENSION, "input_shape": [3, 224, 224], "white": None,
    "resize": None, "normalisation": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
}  # fmt: skip
"""Metadata that `dfal embed` writes."""


def name_of(number: int) -> str:
    return f"{CLASSES[number % 3]}/{number:03d}.jpg"


def rows(numbers: range, *, label: str = "") -> list[str]:
    return ["image,label", *(f"{name_of(number)},{label or CLASSES[number % 3]}" for number in numbers)]


def drawn() -> Values:
    """Embeddings of COUNT images in overlapping clusters, of any length."""
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((3, DIMENSION)) * 1.5
    points = centres[np.arange(COUNT) % 3] + generator.standard_normal((COUNT, DIMENSION))
    return (points * generator.uniform(1, 9, (COUNT, 1))).astype(np.float32)


VECTORS = drawn()


def store(vectors: Values = VECTORS, metadata: dict[str, Any] | None = None) -> None:
    """Write e.parquet with the embeddings of all images, sorted by path as `dfal embed` does."""
    order = sorted(range(len(vectors)), key=name_of)
    write_embeddings(Path("e.parquet"), [([name_of(number) for number in order], vectors[order])], metadata or {})


@pytest.fixture
def house(in_tmp: Path) -> Path:
    """e.parquet of another program; labels.csv has 60 images, test.csv 30 others."""
    store()
    write(in_tmp / "labels.csv", *rows(range(60)))
    write(in_tmp / "test.csv", *rows(range(60, COUNT)))
    return in_tmp


def train(*further: object, embeddings: str = "e.parquet", labels: str = "labels.csv") -> Ended:
    return dfal(
        "train", "--embeddings", embeddings, "--labels", labels, "--out", "m.safetensors", "--json", *further
    )  # fmt: skip


def test_the_head_is_that_of_the_library_on_unit_length_embeddings(house: Path) -> None:
    assert train().code == 0
    head = load_head(Path("m.safetensors"))
    expected = fit_head(unit_length(VECTORS[:60]), np.arange(60) % 3, 3)
    np.testing.assert_allclose(head.weight, expected.weight, rtol=1e-5)
    np.testing.assert_allclose(head.bias, expected.bias, rtol=1e-5, atol=1e-6)
    assert head.classes == CLASSES


def test_the_report_is_that_of_a_network(house: Path) -> None:
    told = train("--test", "test.csv").json
    head = load_head(Path("m.safetensors"))
    predicted = (unit_length(VECTORS[60:]) @ head.weight.T + head.bias).argmax(1)
    right = predicted == np.arange(60, COUNT) % 3
    assert told["test"]["accuracy"] == pytest.approx(right.mean())
    assert np.trace(told["test"]["confusion"]) == right.sum()
    assert set(told["test"]["class_accuracy"]) == set(CLASSES)
    assert told["learnt"] is True
    assert told["strength_how"] == "cross-validated"
    assert told["counts"] == {"labelled": 60, "pseudo": 0, "twins": 0, "training": 60}


def test_the_validation_accuracy_is_that_of_cross_validation_or_of_the_images_given(house: Path) -> None:
    ended = train()
    assert ended.json["validation"]["examples"] == 60
    assert ended.json["validation"]["accuracy"] < ended.json["training"]["accuracy"]
    assert ended.json["validation_from"] == "cross-validation"
    assert re.search(r"; cross-validation: \d+\.\d % of 60 labelled images correct", ended.stderr)
    assert "If query lists chose them, they are harder than the rest" in ended.stderr
    given = train("--validation", "test.csv", "--force")
    assert (given.json["validation"]["examples"], given.json["validation_from"]) == (30, "file")
    assert "cross-validation:" not in given.stderr
    write(house / "few.csv", *rows(range(9)))
    few = train("--force", labels="few.csv")
    assert not {"validation", "validation_from"} & set(few.json)
    assert "head with regularisation 3e-05 (default: too few labels to tune it)" in few.stderr


def test_the_accuracy_of_embeddings_that_say_nothing_is_reported_as_not_learnt(house: Path) -> None:
    store(np.random.default_rng(1).standard_normal((COUNT, DIMENSION), np.float32))
    ended = train("--test", "test.csv")
    assert ended.json["learnt"] is not True
    write(house / "many.csv", *rows(range(60)), *(f"{name_of(number)},cat" for number in range(60, 90)))
    (warning,) = train("--force", labels="many.csv").json["warnings"]
    assert "there is no evidence that the head has learnt" in warning
    assert "try more labels, or embeddings of another backbone" in warning


def test_equal_inputs_are_up_to_date_and_give_equal_bytes(house: Path) -> None:
    train()
    before = Path("m.safetensors").read_bytes()
    assert train().json["status"] == "up to date"
    assert train("--seed", 7).json["status"] == "up to date"  # no random number is drawn
    train("--force")
    assert Path("m.safetensors").read_bytes() == before


def test_other_images_in_the_embeddings_do_not_make_a_checkpoint_outdated(house: Path) -> None:
    train()
    changed = VECTORS.copy()
    changed[60:] += 1
    store(changed)
    assert train().json["status"] == "up to date"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: store(VECTORS + 1), "with other --labels, or with other versions of their images"),
        (lambda: write(Path("labels.csv"), *rows(range(59))), "with other --labels"),
        (lambda: store(metadata=BACKBONE), "with embeddings of another backbone"),
        (lambda: None, "without --class-weight balanced"),
        (lambda: None, "without --test; choose"),
    ],
)
def test_an_existing_checkpoint_from_other_inputs_is_kept_and_the_difference_named(
    house: Path, change: Any, message: str
) -> None:
    train()
    change()
    added = {"class-weight": ["--class-weight", "balanced"], "--test": ["--test", "test.csv"]}
    ended = train(*(value for name, values in added.items() if name in message for value in values))
    assert ended.code == 2
    assert f"m.safetensors: exists, and was made {message}" in ended.stderr


def test_a_network_is_not_mistaken_for_a_head_of_the_same_labels(house: Path, trained: Path) -> None:
    Path("m.safetensors").write_bytes((trained / "model.safetensors").read_bytes())
    ended = train()
    assert ended.code == 2
    assert "from images, not from embeddings" in ended.stderr


def test_twins_are_trained_on_as_they_are_and_follow_their_image_in_cross_validation(house: Path) -> None:
    twins = {number: (unit_length(VECTORS[number : number + 1])[0] * 1.5).astype(np.float32) for number in range(5)}
    for number, twin in twins.items():
        np.save(f"{number}.npy", twin)
    np.save("5.npy", np.zeros(3, np.float32))
    table = [f"{row},{place}.npy" if place < 7 else f"{row}," for place, row in enumerate(rows(range(60))[1:])]
    write(house / "labels.csv", "image,label,twin", *table)
    ended = train()
    assert ended.json["counts"] == {"labelled": 60, "pseudo": 0, "twins": 5, "training": 65}
    assert ended.json["validation"]["examples"] == 60
    assert any("1 twin does not match the length of the embeddings, 12" in text for text in ended.json["warnings"])
    assert any("1 twin is missing or damaged" in text for text in ended.json["warnings"])
    vectors = np.concatenate([unit_length(VECTORS[:60]), *(twin[None] for twin in twins.values())])
    expected = fit_head(vectors, np.r_[0:60, 0:5] % 3, 3, groups=np.r_[0:60, 0:5])
    np.testing.assert_allclose(load_head(Path("m.safetensors")).weight, expected.weight, rtol=1e-5)
    assert train("--no-twins", "--force").json["counts"]["twins"] == 0


def test_pseudo_labels_are_trained_on_but_not_measured(house: Path) -> None:
    write(house / "guesses.csv", "image,pseudo_label", *rows(range(60, 70))[1:])
    told = train("--pseudo-labels", "guesses.csv").json
    assert told["counts"] == {"labelled": 60, "pseudo": 10, "twins": 0, "training": 70}
    assert told["training"]["examples"] == told["validation"]["examples"] == 60


def test_balanced_class_weights_make_up_for_classes_of_different_size(house: Path) -> None:
    write(house / "uneven.csv", *rows(range(0, 60, 3)), name_of(1) + ",dog", name_of(2) + ",fox")
    expected = fit_head(unit_length(VECTORS[[*range(0, 60, 3), 1, 2]]), np.r_[[0] * 20, 1, 2], 3, balanced=True)
    assert train("--class-weight", "balanced", labels="uneven.csv").code == 0
    np.testing.assert_allclose(load_head(Path("m.safetensors")).weight, expected.weight, rtol=1e-4, atol=1e-6)
    assert "--class-weight evenly: use balanced" in train("--class-weight", "evenly").stderr


def test_classes_can_be_named_and_a_class_without_labels_is_never_predicted(house: Path) -> None:
    told = train("--class-names", "fox,cat,dog,owl", "--test", "test.csv").json
    assert told["classes"] == ["fox", "cat", "dog", "owl"]
    assert [row[3] for row in told["test"]["confusion"]] == [0, 0, 0, 0]


def test_the_checkpoint_holds_the_backbone_that_stands_beside_the_embeddings(house: Path) -> None:
    store(metadata=BACKBONE)
    ended = train()
    assert "m.safetensors classifies embeddings, not images" in ended.stderr
    assert load_head(Path("m.safetensors")).metadata["embeddings"] == BACKBONE
    weights = {"conv": np.ones(2, np.float32), "batches": np.array(7)}
    content = save(weights, metadata={"dfal": canonical_json({"contract": 1, **BACKBONE})})
    Path("e.parquet.backbone.safetensors").write_bytes(content)
    ended = train("--force")
    assert "not images" not in ended.stderr
    metadata = load_head(Path("m.safetensors")).metadata
    assert metadata["backbone"] == metadata["embeddings"] == BACKBONE
    assert metadata["input_shape"] == [3, 224, 224]
    stored = load_file("m.safetensors")
    np.testing.assert_equal({name: stored[f"backbone.body.{name}"] for name in weights}, weights)


def test_training_a_head_does_not_import_torch(house: Path) -> None:
    script = (
        "import atexit, sys; from dfal_cli.__main__ import main;"
        "atexit.register(lambda: print('torch' in sys.modules)); main()"
    )
    arguments = ["train", "--embeddings", "e.parquet", "--labels", "labels.csv", "--out", "m.safetensors"]
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout == "m.safetensors\nFalse\n"
