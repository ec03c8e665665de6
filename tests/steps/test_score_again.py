"""score, called again: what is up to date is left alone, and what was made from other inputs is not overwritten."""

import os
import shutil

import pyarrow.parquet as pq
import pytest

from tests.conftest import dfal, draw_twins_in_size, swap, write
from tests.steps.test_score_refusals import assert_refused, project, score

__all__ = ["project"]


def test_a_second_run_is_up_to_date_whatever_batch_size_and_workers(project):
    assert score("--twins", 2).code == 0
    stamp = (project / "scores.parquet").stat().st_mtime_ns
    ended = score("--twins", 2, "--batch-size", 3, "--workers", 0, "--json")
    assert ended.json["status"] == "up to date"
    assert ended.json["outputs"] == ["scores.parquet"]
    assert (project / "scores.parquet").stat().st_mtime_ns == stamp


OTHER_IMAGES = "from another list of images, or before some of them changed"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("touched image", OTHER_IMAGES),
        ("new image", OTHER_IMAGES),
        ("label", OTHER_IMAGES),
        ("option", "with --norm l2, not linf"),
        ("checkpoint", "from another checkpoint"),
    ],
)
def test_scores_made_from_other_inputs_are_overwritten_only_with_force(project, change, said):
    assert score().code == 0
    before = (project / "scores.parquet").read_bytes()
    options = []
    if change == "touched image":
        (project / "images" / "039.png").touch()
    elif change == "new image":
        shutil.copy(project / "images" / "039.png", project / "images" / "040.png")
    elif change == "label":
        write(project / "labels.csv", *(project / "oracle.csv").read_text().splitlines()[:30])
    elif change == "option":
        options = ["--norm", "linf"]
    else:
        ended = dfal("train", "--images", "images", "--labels", "labels.csv", "--out", "model.safetensors",
                     "--epochs", 1, "--seed", 5, "--device", "cpu", "--quiet", "--force")  # fmt: skip
        assert ended.code == 0
    ended = score(*options)
    assert_refused(ended, 2, f"scores.parquet: exists, and was made {said}; ", "--force")
    assert (project / "scores.parquet").read_bytes() == before
    assert score(*options, "--force").code == 0
    assert (project / "scores.parquet").read_bytes() != before


def test_scores_of_images_that_have_changed_names_are_made_anew_without_force(project):
    draw_twins_in_size(project / "images", "038.png", "039.png")
    assert score().code == 0
    measured = pq.read_table("scores.parquet").to_pandas().set_index("image")["confidence"]
    swap(project / "images" / "038.png", project / "images" / "039.png")
    ended = score("--json")
    assert (ended.code, ended.json["status"]) == (0, "done")
    assert "image files have been touched (renamed, copied, moved or linked) since" in ended.stderr
    again = pq.read_table("scores.parquet").to_pandas().set_index("image")["confidence"]
    assert again["038.png"] == measured["039.png"] != measured["038.png"] == again["039.png"]
    assert score("--json").json["status"] == "up to date"


def test_scores_of_images_that_a_backup_has_linked_are_made_anew_and_it_says_why(project):
    assert score().code == 0
    (project / "backup.png").hardlink_to(project / "images" / "039.png")
    ended = score("--json")
    assert (ended.code, ended.json["status"]) == (0, "done")
    assert "image files have been touched (renamed, copied, moved or linked) since" in ended.stderr


def test_scores_of_a_folder_that_is_moved_are_up_to_date_and_of_a_copy_that_keeps_times_made_anew(project, tmp_path):
    assert score().code == 0
    moved = project.rename(tmp_path / "moved")
    os.chdir(moved)
    assert score("--json").json["status"] == "up to date"
    os.chdir(shutil.copytree(moved, tmp_path / "copied"))
    ended = score("--json")
    assert (ended.code, ended.json["status"]) == (0, "done"), ended.stderr
