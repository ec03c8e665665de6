"""train and score: whether the network has learnt, and how certain the metrics are."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dfal_cli.checkpoint import read_checkpoint_metadata
from dfal_cli.training.evaluation import evaluate
from dfal_cli.training.examples import Examples
from dfal_cli.training.learnt import evidence_in
from dfal_cli.training.measured import Evaluation
from dfal_cli.training.metrics import metrics_of
from tests.conftest import Ended, dfal, draw_folder, write

STUBBORN = """
import torch
from torch import nn

class Stubborn(nn.Module):  # learns nothing from the images: it names the class that most of them have
    def __init__(self, num_classes):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(num_classes))

    def forward(self, images):
        return self.bias + 1e-3 * images.flatten(1).mean(1, keepdim=True)

def network(num_classes, input_shape):
    return Stubborn(num_classes)
"""


@pytest.fixture
def house(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """80 images of two classes, labels.csv with 40 of them, test.csv with the others; a network that learns nothing."""
    draw_folder(in_tmp, each=40)
    header, *rows = (in_tmp / "oracle.csv").read_text().splitlines()
    write(in_tmp / "labels.csv", header, *rows[:40])
    write(in_tmp / "test.csv", header, *rows[40:])
    write(in_tmp / "stubborn.py", STUBBORN)
    monkeypatch.syspath_prepend(str(in_tmp))
    return in_tmp


def train(*further: object, out: str = "m.safetensors", labels: str = "labels.csv") -> Ended:
    ended = dfal("train", "--images", "images", "--labels", labels, "--out", out, "--device", "cpu", "--json", *further)
    assert ended.code == 0, ended.stderr
    return ended


def score(*further: object) -> Ended:
    ended = dfal(
        "score", "--images", "images", "--checkpoint", "m.safetensors", "--out", "s.parquet", "--trust-code",
        "--device", "cpu", "--nearest", 0, "--json", *further,
    )  # fmt: skip
    assert ended.code == 0, ended.stderr
    return ended


def test_a_network_that_learns_nothing_is_warned_of_with_numbers_and_advice(house: Path) -> None:
    ended = train("--arch", "stubborn:network", "--epochs", 3, "--test", "test.csv")
    (warning,) = ended.json["warnings"]
    assert "test: 50.0 % of 40 images correct (35 to 65 %)" in warning
    assert "always predicting the largest class would reach 50.0 %" in warning
    for remedy in ("--epochs", "--patience"):  # which of them: whether the best epoch was the last
        assert (remedy in warning) == ((remedy == "--epochs") == (ended.json["epoch"] == 3))
    assert "--augment photo, or more labels" in warning
    assert "--pretrained" not in warning  # code of one's own has no such weights
    assert "--image-size" not in warning  # 16 pixels are few
    assert ended.json["learnt"] is False
    assert read_checkpoint_metadata(Path("m.safetensors"))["metrics"]["learnt"] is False


def test_a_checkpoint_that_is_up_to_date_is_warned_of_again(house: Path) -> None:
    stubborn = ("--arch", "stubborn:network", "--epochs", 1, "--test", "test.csv")
    first, again = train(*stubborn), train(*stubborn)
    assert again.json["status"] == "up to date"
    assert again.json["warnings"] == first.json["warnings"] != []


def test_a_test_accuracy_at_guessing_level_is_warned_of_even_on_few_images(house: Path) -> None:
    write(house / "few.csv", *(house / "labels.csv").read_text().splitlines()[:9])
    write(house / "test.csv", *(house / "test.csv").read_text().splitlines()[:7])
    ended = train("--arch", "stubborn:network", "--epochs", 1, "--test", "test.csv", labels="few.csv")
    assert ended.json["learnt"] is None
    (warning,) = ended.json["warnings"]
    assert "no evidence that the network has learnt: test: 50.0 % of 6 images correct" in warning


def test_a_loss_on_unknown_classes_only_is_null_in_the_checkpoint(house: Path) -> None:
    write(house / "strange.csv", "image,label", "000.png,unheard", "001.png,unheard")
    train("--epochs", 1, "--test", "strange.csv")
    test = read_checkpoint_metadata(Path("m.safetensors"))["metrics"]["test"]
    assert (test["loss"], test["accuracy"]) == (None, 0.0)


def test_score_repeats_the_warning_and_counts_predictions_of_a_single_class(house: Path) -> None:
    train("--arch", "stubborn:network", "--epochs", 1, "--test", "test.csv")
    warnings = " ".join(score().json["warnings"])
    assert "no better than guessing" in warnings
    assert "all 80 images are predicted as" in warnings


def test_a_network_that_has_learnt_is_not_warned_of(house: Path) -> None:
    ended = train("--epochs", 15, "--test", "test.csv")
    assert ended.json["warnings"] == []
    assert ended.json["learnt"] is True
    low, high = ended.json["test"]["interval"]
    assert 0.5 < low <= ended.json["test"]["accuracy"] <= high <= 1
    assert ended.json["training"]["examples"] == 40
    assert score().json["warnings"] == []


def test_too_few_images_prove_nothing_either_way(house: Path) -> None:
    write(house / "few.csv", *(house / "labels.csv").read_text().splitlines()[:9])
    ended = train("--arch", "stubborn:network", "--epochs", 1, labels="few.csv")
    assert ended.json["learnt"] is None
    assert ended.json["warnings"] == []
    assert "too few held-out images to tell" in ended.stderr


def test_the_validation_accuracy_has_an_interval_and_few_images_are_pointed_out(house: Path) -> None:
    write(house / "validation.csv", *(house / "test.csv").read_text().splitlines()[:13])
    ended = train("--arch", "stubborn:network", "--epochs", 1, "--validation", "validation.csv")
    assert "validation: 50.0 % of 12 images correct (25 to 75 %)" in ended.stderr
    assert "only 12 validation images: the accuracy on new images may be anywhere from 25 to 75 %" in ended.stderr


def summary(accuracy: float, examples: int, share: float) -> dict[str, float]:
    return {"accuracy": accuracy, "examples": examples, "largest_share": share}


@pytest.mark.parametrize(
    ("metrics", "learnt", "measured_on"),
    [
        ({"test": summary(0.1, 100, 0.1), "training": summary(0.9, 100, 0.1)}, False, "test"),
        ({"validation": summary(0.5, 12, 0.5), "training": summary(0.1, 78, 0.1)}, False, "training"),
        ({"validation": summary(1.0, 12, 0.5), "training": summary(0.1, 78, 0.1)}, True, "validation"),
        ({"test": summary(0.5, 12, 0.5), "training": summary(0.5, 12, 0.5)}, None, "test"),
        ({"test": summary(0.6, 12, 0.5), "training": summary(1.0, 78, 0.5)}, None, ""),
        ({"training": summary(1.0, 78, 0.5)}, None, ""),
        ({"test": summary(1.0, 100, 0.98), "training": summary(1.0, 78, 0.5)}, None, ""),
        ({"test": summary(0.98, 100, 0.98), "training": summary(1.0, 78, 0.5)}, None, "test"),
        ({"test": summary(1.0, 12, 1.0), "training": summary(1.0, 78, 0.5)}, None, ""),
    ],
)
def test_the_first_conclusive_set_decides_and_training_images_are_evidence_only_against(
    metrics: dict, learnt: bool | None, measured_on: str
) -> None:
    evidence = evidence_in(metrics)
    assert (evidence.learnt, evidence.measured_on) == (learnt, measured_on)


def test_memorised_training_images_are_no_evidence_of_learning() -> None:
    """98 images of noise with random labels, 79 of them to train on."""
    few = {"test": summary(0.08, 25, 0.16), "validation": summary(2 / 19, 19, 3 / 19)}
    evidence = evidence_in({**few, "training": summary(41 / 79, 79, 0.15)})
    assert (evidence.learnt, evidence.measured_on) == (False, "test and validation")
    assert evidence.figures is not None
    assert evidence.figures["examples"] == 44
    assert evidence.figures["accuracy"] == pytest.approx(4 / 44)
    assert evidence.figures["largest_share"] == pytest.approx(7 / 44)


def predicting(*weights: float) -> torch.nn.Module:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(1, len(weights)))
    with torch.no_grad():
        network[1].weight.zero_()
        network[1].bias.copy_(torch.tensor(weights))
    return network


def examples(*labels: int) -> Examples:
    none = torch.empty(0, 1, 1, 1)
    return Examples(
        torch.zeros(len(labels), 1, 1, 1, dtype=torch.uint8), torch.tensor(labels), none, torch.tensor([], dtype=int)
    )


def test_images_of_unknown_classes_count_as_wrong_and_not_in_the_loss() -> None:
    evaluation = evaluate(predicting(1.0, 0.0), examples(0, 0, 1, 2, 3).on_device(torch.device("cpu")), 2)
    known = evaluate(predicting(1.0, 0.0), examples(0, 0, 1).on_device(torch.device("cpu")), 2)
    assert evaluation.confusion.tolist() == [[2, 0], [1, 0], [1, 0], [1, 0]]
    assert evaluation.accuracy == 2 / 5
    assert evaluation.largest_share == 2 / 5
    assert evaluation.class_accuracy == [1.0, 0.0, 0.0, 0.0]
    assert evaluation.balanced_accuracy == 1 / 4
    assert evaluation.loss == known.loss


def test_the_most_frequent_mistakes_are_listed_first(monkeypatch: pytest.MonkeyPatch) -> None:
    confusion = np.array([[5, 1, 0], [0, 5, 4], [2, 0, 5]])
    monkeypatch.setattr("dfal_cli.training.metrics.evaluation_of", lambda *arguments: Evaluation(0.1, confusion))
    best, measured = type("Best", (), {"epoch": 1}), {"test": (examples(0), ("a", "b", "c"))}
    from dfal_cli.system.reporting import Silent

    told = metrics_of(predicting(1.0, 0.0, 0.0), best, 3, measured, Silent())  # type: ignore[arg-type]
    assert told["test"]["confused"] == [("b", "c", 4), ("c", "a", 2), ("a", "b", 1)]


def test_of_many_classes_only_the_worst_are_shown_and_json_has_all(house: Path) -> None:
    rows = (house / "oracle.csv").read_text().splitlines()[1:]
    names = [row.split(",")[0] for row in rows]
    write(house / "many.csv", "image,label", *(f"{name},species {place % 40}" for place, name in enumerate(names)))
    ended = train("--epochs", 1, "--test", "many.csv", labels="many.csv")
    assert len(ended.json["test"]["confusion"]) == 40
    assert len(ended.json["test"]["confused"]) == 5
    assert "the 10 worst of 40 classes (--json has all)" in ended.stderr
    assert max(map(len, ended.stderr.splitlines())) < 300


def test_score_warns_of_predictions_nearly_all_of_one_class_unless_the_labels_are_too(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train("--epochs", 1)
    monkeypatch.setattr("dfal_cli.scoring.rows.Rows.predicted", lambda rows, classes: ["dark"] * 75 + ["light"] * 5)
    assert any("75 of 80 images (94 %) are predicted as 'dark'" in warning for warning in score().json["warnings"])
    monkeypatch.setattr("dfal_cli.scoring.judging._share_of_labels", lambda name, metadata: 0.95)
    assert not any("are predicted as" in warning for warning in score("--force").json["warnings"])


def test_the_checkpoint_stores_the_number_of_labels_per_class(house: Path) -> None:
    train("--epochs", 1, "--class-names", "dark,light,unseen")
    assert read_checkpoint_metadata(Path("m.safetensors"))["label_counts"] == {"dark": 20, "light": 20, "unseen": 0}


def test_flat_images_are_counted(house: Path) -> None:
    """White on transparency is white on white."""
    for name in ("000.png", "001.png", "040.png"):
        pixels = np.full((16, 16, 4), 255, np.uint8)
        pixels[4:8, :, 3] = 0
        Image.fromarray(pixels).save(house / "images" / name)
    ended = train("--epochs", 1, "--test", "test.csv")
    assert any("3 of 80 images are one flat colour" in warning for warning in ended.json["warnings"])
    assert any("3 of 80 images are one flat colour" in warning for warning in score().json["warnings"])
    embedding = score("--labels", "test.csv", "--measure", "embedding", "--force").json["warnings"]
    assert any("2 of 40 images are one flat colour" in warning for warning in embedding)
