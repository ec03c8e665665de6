"""score: what it refuses, and how many unreadable images it bears."""

import shutil

import pyarrow.parquet as pq
import pytest

from tests.conftest import dfal
from tests.steps.scoring_embeddings import assert_refused


@pytest.fixture
def project(trained, tmp_path, monkeypatch):
    """A copy of the trained folder, as the working directory."""
    root = shutil.copytree(trained, tmp_path / "project")
    monkeypatch.chdir(root)
    return root


def score(*further, checkpoint="model.safetensors", out="scores.parquet"):
    return dfal(
        "score", "--images", "images", "--checkpoint", checkpoint, "--labels", "labels.csv", "--out", out,
        "--device", "cpu", *further,
    )  # fmt: skip


def test_an_empty_pool_is_bad_data(project):
    shutil.copy(project / "oracle.csv", project / "labels.csv")
    assert_refused(score(), 3, "pool is empty")
    ended = score("--json")
    assert (ended.code, ended.json["status"], ended.json["counts"]["pool"]) == (3, "empty pool", 0)
    assert not (project / "scores.parquet").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"checkpoint": "absent.safetensors"}, "absent.safetensors"),
        ({"out": "scores.txt"}, ".parquet or .csv"),
        ({"further": ("--norm", "l1")}, "l2, linf"),
        ({"further": ("--estimator", "guess")}, "deepfool"),
        ({"further": ("--classes", "1")}, "--classes"),
        ({"further": ("--preset", "best")}, "paper"),
        ({"further": ("--exclude", "absent.csv")}, "absent.csv"),
        ({"further": ("--images", "nowhere")}, "nowhere"),
    ],
    ids=str,
)
def test_a_wrong_option_is_a_usage_error_that_names_it(project, options, said):
    assert_refused(score(*options.pop("further", ()), **options), 2, said)
    assert not list(project.glob("scores*"))


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x80\x04K\x07."])
def test_a_file_that_is_no_checkpoint_is_bad_data(project, content):
    (project / "model.safetensors").write_bytes(content)
    assert_refused(score(), 3, "not a checkpoint of dfal")


def test_too_many_unreadable_images_end_the_run_and_are_listed_with_their_reasons(project):
    (project / "images" / "b.png").write_bytes(b"not an image")
    (project / "images" / "a.png").write_bytes((project / "images" / "000.png").read_bytes()[:60])
    ended = score()
    assert_refused(ended, 3, "2 of 18 images cannot be read", "scores.parquet.unreadable.csv", "--max-unreadable")
    header, *rows = (project / "scores.parquet.unreadable.csv").read_text().splitlines()
    assert header == "image,reason"
    assert [row.split(",")[0] for row in rows] == ["a.png", "b.png"]
    assert all(row.split(",", 1)[1] for row in rows)
    assert not (project / "scores.parquet").exists()


def test_a_few_unreadable_images_do_not_stop_the_run_and_are_counted(project):
    (project / "images" / "broken.png").write_bytes(b"not an image")
    ended = score("--max-unreadable", 0.1, "--json", "--batch-size", 5)
    assert ended.code == 0, ended.stderr
    assert ended.json["outputs"] == ["scores.parquet", "scores.parquet.unreadable.csv"]
    assert ended.json["counts"]["unreadable"] == 1
    assert len(ended.json["warnings"]) == 1
    images = pq.read_table("scores.parquet").to_pandas()["image"]
    assert len(images) == 16
    assert "broken.png" not in set(images)


def test_the_list_of_unreadable_images_is_removed_when_they_are_repaired(project):
    (project / "images" / "broken.png").write_bytes(b"not an image")
    assert score("--max-unreadable", 0.1).code == 0
    shutil.copy(project / "images" / "000.png", project / "images" / "broken.png")
    assert score("--max-unreadable", 0.1, "--force").code == 0
    assert not (project / "scores.parquet.unreadable.csv").exists()
