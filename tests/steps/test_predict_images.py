"""predict --images: a network's predictions, streamed, resumable, the same whatever the batches; folders per class."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from dfal_cli.errors import Interrupted
from dfal_cli.scoring.classifying import Classifier
from dfal_cli.statistics import calibration
from dfal_cli.system import parts
from dfal_cli.tables import read_csv
from tests.conftest import Ended, dfal, write
from tests.steps.embedding import draw_photos, embedded


def predict(trained: Path, *further: object, out: str = "p.parquet", images: Path | None = None) -> Ended:
    return dfal(
        "predict", "--images", images or trained / "images", "--checkpoint", trained / "model.safetensors",
        "--out", out, "--device", "cpu", *further,
    )  # fmt: skip


def predicted(trained: Path, *further: object, out: str = "p.parquet") -> pd.DataFrame:
    ended = predict(trained, *further, out=out)
    assert ended.code == 0, ended.stderr
    return pq.read_table(out).to_pandas()


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every finished batch is kept at once."""
    monkeypatch.setattr(parts, "SECONDS", 0.0)
    monkeypatch.setattr(parts, "SHARE", float("inf"))


def interrupt_at(call: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the classifier fail at this call, 0 for never; returns the sizes of its batches, to be filled."""
    sizes: list[int] = []
    compute = Classifier._logits

    def failing(self, images):
        if len(sizes) + 1 == call:
            raise Interrupted(2)
        sizes.append(len(images))
        return compute(self, images)

    monkeypatch.setattr(Classifier, "_logits", failing)
    return sizes


def test_predictions_are_those_of_score(in_tmp: Path, trained: Path) -> None:
    table = predicted(trained, "--probabilities")
    score = ("score", "--images", trained / "images", "--checkpoint", trained / "model.safetensors", "--nearest", 0)
    assert dfal(*score, "--out", "s.parquet", "--device", "cpu").code == 0
    scores = pq.read_table("s.parquet").to_pandas()
    assert list(table["image"]) == list(scores["image"])
    assert list(table["predicted"]) == list(scores["predicted"])
    np.testing.assert_allclose(table["confidence"], scores["confidence"], atol=1e-5)
    np.testing.assert_allclose(table[["probability_dark", "probability_light"]].sum(axis=1), 1, atol=1e-5)


def test_the_batch_size_changes_no_row(in_tmp: Path, trained: Path) -> None:
    one, other = predicted(trained, "--batch-size", 3), predicted(trained, "--batch-size", 40, out="o.parquet")
    pd.testing.assert_frame_equal(one.drop(columns="confidence"), other.drop(columns="confidence"))
    np.testing.assert_allclose(one["confidence"], other["confidence"], atol=2e-6)


@pytest.mark.parametrize("out", ["p.csv", "p.parquet"])
@pytest.mark.usefixtures("eager")
def test_an_interrupted_call_resumes_and_ends_with_the_same_bytes(
    in_tmp: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    settings = ("--batch-size", 6, "--probabilities", "--min-confidence", 0.9)
    assert predict(trained, *settings, out=f"undisturbed/{out}").code == 0
    with monkeypatch.context() as patched:
        interrupt_at(4, patched)
        ended = predict(trained, *settings, out=f"disturbed/{out}")
    assert ended.code == 130
    assert "resume from the finished part" in ended.stderr
    assert not Path("disturbed", out).exists()
    sizes = interrupt_at(0, monkeypatch)
    ended = predict(trained, *settings, out=f"disturbed/{out}")
    assert sum(sizes) == 40 - 3 * 6, "what was finished is not computed again"
    assert "resuming after 18 of 40 images" in ended.stderr
    for path in Path("undisturbed").iterdir():
        if path.suffix != ".lock":
            assert path.read_bytes() == Path("disturbed", path.name).read_bytes(), path.name
    assert not list(Path("disturbed").glob(".*.parts"))


@pytest.mark.usefixtures("eager")
def test_parts_of_other_options_are_not_used(in_tmp: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        interrupt_at(4, patched)
        assert predict(trained, "--batch-size", 6).code == 130
    ended = predict(trained, "--batch-size", 6, "--probabilities")
    assert ended.code == 0
    assert "starting over: the unfinished predictions" in ended.stderr
    assert "without --probabilities" in ended.stderr


def test_unreadable_images_are_listed_and_too_many_are_refused(in_tmp: Path, trained: Path) -> None:
    (in_tmp / "images").mkdir()
    for path in sorted((trained / "images").iterdir())[:9]:
        (in_tmp / "images" / path.name).write_bytes(path.read_bytes())
    write(in_tmp / "images/broken.png", "no image")
    ended = predict(trained, out="p.csv", images=in_tmp / "images")
    assert ended.code == 3
    assert "1 of 10 images cannot be read" in ended.stderr
    ended = predict(trained, "--max-unreadable", 0.2, out="p.csv", images=in_tmp / "images")
    assert ended.code == 0
    assert len(read_csv(Path("p.csv"), ("image",))) == 9
    assert list(read_csv(Path("p.csv.unreadable.csv"), ("image",))["image"]) == ["broken.png"]
    assert predict(
        trained,
        "--max-unreadable",
        0.2,
        out="p.csv",
        images=in_tmp / "images",
    ).stderr.count("up to date")


def test_a_folder_per_class_holds_links_and_run_again_it_is_up_to_date(in_tmp: Path, trained: Path) -> None:
    table = predicted(trained, "--to-folder", "by-class")
    for row in table.itertuples():
        link = Path("by-class", row.predicted, row.image)
        assert link.is_symlink()
        assert link.resolve() == (trained / "images" / row.image).resolve()
    before = Path("by-class").stat().st_ino
    ended = predict(trained, "--to-folder", "by-class")
    assert ended.stdout.split() == ["p.parquet", "by-class"]
    assert Path("by-class").stat().st_ino == before
    Path("p.parquet").unlink()
    predicted(trained, "--to-folder", "by-class", "--min-confidence", 0.9)
    assert Path("by-class").stat().st_ino == before, "the classes are the same"
    inside = trained / "images/by-class"
    assert predict(trained, "--to-folder", inside, "--force").code == 2


def test_images_in_a_folder_of_guesses_are_answers_only_once_they_are_moved(in_tmp: Path, trained: Path) -> None:
    predicted(trained, "--to-folder", "by-class")
    (moved,) = list(Path("by-class/dark").iterdir())[:1]
    moved.rename(Path("by-class/light") / moved.name)
    ended = dfal(
        "merge", "--queries", "by-class", "--labels", "new.csv", "--images", trained / "images", "--allow-new-classes"
    )  # fmt: skip
    assert ended.code == 0, ended.stderr
    assert Path("new.csv").read_text().splitlines()[1:] == [f"{moved.name},light,"]
    ended = predict(trained, "--to-folder", "by-class", "--probabilities", "--force")
    assert ended.stdout.split() == ["p.parquet", "by-class"]
    assert (Path("by-class/light") / moved.name).is_symlink(), "what a person has moved stays"


def test_images_are_copied_where_there_are_no_links(
    in_tmp: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self, target):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", refused)
    table = predicted(trained, "--to-folder", "by-class")
    copied = Path("by-class", table["predicted"][0], table["image"][0])
    assert not copied.is_symlink()
    assert copied.read_bytes() == (trained / "images" / table["image"][0]).read_bytes()


def test_a_head_predicts_images_through_its_backbone_as_it_does_their_embeddings(in_tmp: Path) -> None:
    draw_photos(in_tmp)
    images = embedded().images
    write(in_tmp / "labels.csv", "image,label", *(f"{image},{'xy'[place % 2]}" for place, image in enumerate(images)))
    train = ("train", "--embeddings", "e.parquet", "--labels", "labels.csv", "--out", "head.safetensors")
    assert dfal(*train).code == 0
    code = ("--checkpoint", "head.safetensors", "--device", "cpu", "--trust-code")
    assert dfal("predict", "--images", "photos", *code, "--out", "images.parquet").code == 0
    head = ("predict", "--embeddings", "e.parquet", "--checkpoint", "head.safetensors")
    assert dfal(*head, "--out", "vectors.parquet").code == 0
    one, other = (pq.read_table(f"{name}.parquet").to_pandas() for name in ("images", "vectors"))
    assert list(one["predicted"]) == list(other["predicted"])
    np.testing.assert_allclose(one["confidence"], other["confidence"], atol=1e-5)
    assert dfal("predict", "--images", "photos", *code[:-1], "--out", "new.csv").code == 2, "its code is not trusted"


def test_images_that_were_trained_on_calibrate_nothing_and_the_others_do(
    in_tmp: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "MIN_EXAMPLES", 10)
    ended = predict(trained, "--calibrate", trained / "oracle.csv", "--json")
    assert ended.json["calibration"]["examples"] == 40 - 24
    assert "24 of 40 images in --calibrate are images that the checkpoint was trained on" in ended.json["warnings"][0]
    plain = predicted(trained, out="plain.parquet")
    table = pq.read_table("p.parquet").to_pandas()
    assert list(table["predicted"]) == list(plain["predicted"])
    odds, plain_odds = (np.log(one["confidence"] / (1 - one["confidence"])) for one in (table, plain))
    inner = (plain["confidence"] < 0.999) & (table["confidence"] < 0.999)
    assert inner.any()
    np.testing.assert_allclose(odds[inner], plain_odds[inner] / ended.json["temperature"], rtol=0.01)
