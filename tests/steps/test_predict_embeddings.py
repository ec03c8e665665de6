"""predict --embeddings: the softmax of a head, calibrated, as a table and as folders."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from dfal_cli.steps.option import options_of
from dfal_cli.steps.predict.checks import ONLY_OF_IMAGES
from dfal_cli.steps.predict.options import PredictOptions
from dfal_cli.tables import read_csv
from dfal_cli.tables.embeddings import write_embeddings
from dfal_cli.tables.predictions import read_predicted
from dfal_cli.training.trained_images import packed_hashes
from tests.conftest import Ended, dfal, write
from tests.steps.heads import CLASSES, DIMENSION, logits, make_head, make_project, names, vectors

COUNT = 40
CALIBRATION = {"temperature": 2.0, "measured_on": "test", "examples": 200, "error_before": 0.1, "error_after": 0.02}


@pytest.fixture
def project(in_tmp: Path) -> Path:
    return make_project(in_tmp, COUNT)


def predict(*further: object, out: str = "p.parquet", embeddings: str = "e.parquet") -> Ended:
    return dfal("predict", "--embeddings", embeddings, "--checkpoint", "head.safetensors", "--out", out, *further)


def predicted(*further: object, out: str = "p.parquet") -> pd.DataFrame:
    ended = predict(*further, out=out)
    assert ended.code == 0, ended.stderr
    return pq.read_table(out).to_pandas()


def metadata(path: str = "p.parquet") -> dict:
    return json.loads(pq.read_schema(path).metadata[b"dfal"])


def assert_refused(ended: Ended, code: int, *said: str) -> None:
    assert ended.code == code, ended.stderr
    for text in said:
        assert text in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_predictions_are_the_softmax_of_the_head_to_six_digits(project: Path) -> None:
    table = predicted("--probabilities")
    p = softmax(logits(COUNT), axis=1)
    assert list(table) == ["image", "predicted", "confidence", *(f"probability_{name}" for name in CLASSES)]
    assert list(table["image"]) == names(COUNT)
    assert list(table["predicted"]) == [CLASSES[code] for code in p.argmax(1)]
    np.testing.assert_allclose(table[[f"probability_{name}" for name in CLASSES]], p, atol=6e-7)
    np.testing.assert_allclose(table["confidence"], p.max(1), atol=6e-7)


def test_the_recorded_temperature_changes_the_confidences_and_no_class(project: Path) -> None:
    plain = predicted()
    make_head(project / "head.safetensors", metrics={"calibration": CALIBRATION})
    ended = predict("--force")
    table = pq.read_table("p.parquet").to_pandas()
    assert list(table["predicted"]) == list(plain["predicted"])
    np.testing.assert_allclose(table["confidence"], softmax(logits(COUNT) / 2, axis=1).max(1), atol=6e-7)
    assert "confidences are calibrated on 200 test images: temperature 2.00" in ended.stderr
    assert "10.0 % before and 2.0 % after" in ended.stderr
    assert metadata()["temperature"] == 2.0


def test_scores_keep_the_confidence_of_the_head_itself(project: Path) -> None:
    make_head(project / "head.safetensors", metrics={"calibration": CALIBRATION})
    score = ("score", "--embeddings", "e.parquet", "--checkpoint", "head.safetensors", "--out", "s.parquet")
    assert dfal(*score).code == 0
    confidence = pq.read_table("s.parquet").to_pandas()["confidence"]
    np.testing.assert_allclose(confidence, softmax(logits(COUNT), axis=1).max(1), rtol=1e-6)


@pytest.mark.parametrize("stored", [None, {"temperature": "2"}, {"temperature": 1e-300, "measured_on": "test"}, 5])
def test_without_a_usable_temperature_confidences_stay_and_it_is_said(project: Path, stored: object) -> None:
    make_head(project / "head.safetensors", metrics={"calibration": stored})
    ended = predict()
    assert ended.code == 0
    assert "confidences are not calibrated" in ended.stderr
    assert metadata()["temperature"] == 1.0


def write_labels(path: str, count: int) -> np.ndarray:
    """Labels drawn from a sharper distribution than the head's; returns their class indices."""
    generator = np.random.default_rng(5)
    targets = np.array([generator.choice(3, p=row) for row in softmax(0.5 * logits(count), axis=1)])
    write(
        Path(path),
        "image,label",
        *(f"{name},{CLASSES[code]}" for name, code in zip(names(count), targets, strict=True)),
    )
    return targets


def test_calibrate_finds_the_temperature_of_an_independent_minimisation(in_tmp: Path) -> None:
    make_project(in_tmp, 300)
    targets = write_labels("held-out.csv", 300)
    ended = predict("--calibrate", "held-out.csv", "--json")

    def loss(log_temperature: float) -> float:
        rows = log_softmax(logits(300) / np.exp(log_temperature), axis=1)
        return -rows[np.arange(300), targets].sum() + log_temperature**2 / 2

    expected = np.exp(minimize_scalar(loss, bracket=(-1, 1), tol=1e-10).x)
    assert ended.json["temperature"] == pytest.approx(expected, rel=1e-4)
    assert expected > 1.3
    assert ended.json["calibration"]["examples"] == 300
    assert "confidences are calibrated on 300 images of --calibrate" in ended.stderr


def test_too_few_images_to_calibrate_leave_the_confidences_with_a_warning(project: Path) -> None:
    write_labels("few.csv", COUNT)
    ended = predict("--calibrate", "few.csv", "--json")
    assert ended.json["temperature"] == 1.0
    assert "--calibrate has 40 usable images" in ended.json["warnings"][0]


def test_images_to_calibrate_that_were_trained_on_are_named_and_left_out(in_tmp: Path) -> None:
    from dfal_cli.training.embedded import EmbeddingsOnDisk

    make_project(in_tmp, 120)
    write_labels("labels.csv", 120)
    source = EmbeddingsOnDisk(in_tmp / "e.parquet")
    source.load(names(120), print)
    trained = packed_hashes(map(source.content_hash, names(2)))
    make_head(in_tmp / "head.safetensors", trained_images=trained, parts={"trained_on": "embeddings"})
    warnings = predict("--calibrate", "labels.csv", "--json").json["warnings"]
    assert (
        "2 of 120 images in --calibrate are images that the checkpoint was trained on (000.png, 001.png)"
        in (warnings[0])
    )


def test_a_minimum_confidence_marks_what_to_look_at_in_a_column_that_no_command_takes_for_a_label(
    project: Path,
) -> None:
    table = predicted("--min-confidence", 0.7)
    assert (table["look"] == (table["confidence"] < np.float32(0.7))).all()
    assert 0 < table["look"].sum() < COUNT
    ended = predict("--min-confidence", 0.7, out="p.csv")
    assert f"{table['look'].sum()} to look at (confidence below 0.7)" in ended.stderr
    assert list(read_csv(Path("p.csv"), ("look",))["look"]) == ["yes" if look else "no" for look in table["look"]]
    write(Path("labels.csv"), "image,label", "000.png,ant")
    assert_refused(dfal("merge", "--queries", "p.csv", "--labels", "labels.csv"), 3, "no column label")


def test_labelled_and_excluded_images_are_left_out(project: Path) -> None:
    write(Path("labels.csv"), "image,label", "000.png,ant", "001.png,")
    write(Path("test.csv"), "image", "002.png")
    table = predicted("--labels", "labels.csv", "--exclude", "test.csv")
    assert list(table["image"]) == [names(COUNT)[1], *names(COUNT)[3:]]


def test_an_output_of_the_same_inputs_is_up_to_date_and_of_others_is_refused(project: Path) -> None:
    assert predict(out="p.csv").code == 0
    before = Path("p.csv").read_bytes(), Path("p.csv.meta.json").read_bytes()
    assert predict("--json", out="p.csv").json["status"] == "up to date"
    assert_refused(predict("--probabilities", out="p.csv"), 2, "was made without --probabilities", "--force")
    Path("p.csv.meta.json").write_bytes(before[1].replace(b'"rows_sha256":"', b'"rows_sha256":"0'))
    assert predict("--json", out="p.csv").json["status"] == "done"
    assert (Path("p.csv").read_bytes(), Path("p.csv.meta.json").read_bytes()) == before
    write(Path("mine.csv"), "image,predicted", "a,b")
    assert_refused(predict(out="mine.csv"), 2, "exists and is not a predictions file of dfal")


def test_scores_are_not_predictions(project: Path) -> None:
    score = ("score", "--embeddings", "e.parquet", "--checkpoint", "head.safetensors", "--out", "p.parquet")
    assert dfal(*score).code == 0
    assert_refused(predict(), 2, "p.parquet: exists")


def test_embeddings_of_another_length_and_networks_are_refused(project: Path, trained: Path) -> None:
    longer = np.ones((4, DIMENSION + 1), np.float32)
    write_embeddings(project / "longer.parquet", [(names(4), longer)], {})
    said = "longer.parquet: its embeddings have 7 numbers, but head.safetensors was trained on embeddings of 6"
    assert_refused(predict(embeddings="longer.parquet"), 3, said)
    network = ("--checkpoint", trained / "model.safetensors", "--out", "n.csv")
    assert_refused(dfal("predict", "--embeddings", "e.parquet", *network), 2, "classifies images, not embeddings")
    images = ("--images", trained / "images", "--checkpoint", "head.safetensors", "--out", "n.csv")
    assert_refused(dfal("predict", *images), 2, "classifies embeddings, not images")


@pytest.mark.parametrize("name", sorted(ONLY_OF_IMAGES))
def test_options_without_meaning_for_embeddings_are_refused(project: Path, name: str) -> None:
    values = {"max_unreadable": 0.5, "cache": "c", "cache_limit": "1GB", "arch": "a", "device": "cpu", "workers": 1}
    declared = next(each for each in options_of(PredictOptions) if each.name == name)
    value = [] if declared.kind is bool else [values.get(name, 8)]
    assert_refused(predict(declared.spelling, *value), 2, f"{declared.spelling}: no effect with --embeddings")


def test_nearly_all_images_of_one_class_are_doubted(project: Path) -> None:
    same = np.repeat(vectors(1), 30, 0)
    write_embeddings(project / "e.parquet", [(names(30), same)], {})
    assert "all 30 images are predicted as" in predict().stderr


HOSTILE = ("../x", "NUL", "=1+1")


def test_hostile_class_names_stay_what_they_are_in_tables_and_harmless_in_folders(project: Path) -> None:
    make_head(project / "head.safetensors", HOSTILE)
    images = project / "photos"
    for name in names(COUNT):
        write(images / name, "an image")
    write_embeddings(project / "e.parquet", [(names(COUNT), vectors(COUNT))], {"backbone": "x", "image_root": "photos"})
    assert predict("--to-folder", "by-class", "--probabilities", out="p.csv").code == 0
    expected = [HOSTILE[code] for code in logits(COUNT).argmax(1)]
    assert dict(read_predicted(Path("p.csv"))) == dict(zip(names(COUNT), expected, strict=True))
    assert "\n=1" not in Path("p.csv").read_text().replace(",", "\n"), "no cell is a formula"
    folders = {
        path.name: {each.name for each in path.iterdir()} for path in Path("by-class").iterdir() if path.is_dir()
    }
    assert folders == {
        folder: {name for name, label in zip(names(COUNT), expected, strict=True) if label == of}
        for folder, of in (("%2E.%2Fx", "../x"), ("%4EUL", "NUL"), ("=1+1", "=1+1"))
    }
    assert (Path("by-class/=1+1") / sorted(folders["=1+1"])[0]).resolve().parent == images.resolve()


def test_folders_need_the_images_and_nothing_is_written_without(project: Path) -> None:
    assert_refused(predict("--to-folder", "by-class"), 2, "e.parquet does not say where its images are")
    assert not Path("p.parquet").exists()
