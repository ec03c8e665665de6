"""export: what it refuses, and the folders that it leaves as they are."""

from pathlib import Path

import pytest

from dfal_cli.schemas import HANDED_TO
from tests.conftest import dfal, write
from tests.steps.test_export import OUT, export, house
from tests.tables.tool_files import write_json

__all__ = ["house"]


@pytest.mark.parametrize("name", ["a/b", "..", "a/../../b"])
def test_a_class_that_cannot_be_a_folder_is_refused(name: str, house: Path) -> None:
    ended = export("folder", "--class-names", name)
    assert (ended.code, OUT.exists()) == (3, False)
    assert "cannot be the name of a folder" in ended.stderr


@pytest.mark.parametrize("to", ["labelstudio", "cvat"])
def test_a_tool_that_needs_classes_is_told_them(to: str, house: Path) -> None:
    write(house / "queries.csv", "image,label", "a/0.png,")
    ended = export(to)
    assert (ended.code, OUT.exists()) == (2, False)
    assert "name them with --class-names or --labels" in ended.stderr
    assert export(to, "--class-names", "cat,dog").code == 0


def test_an_image_without_a_size_is_refused_by_name(house: Path) -> None:
    (house / "img/a/0.png").write_bytes(b"none")
    ended = export("cvat", "--labels", "labels.csv")
    assert (ended.code, OUT.exists()) == (3, False)
    assert "img: image 'a/0.png': not an image" in ended.stderr


@pytest.mark.parametrize("to", HANDED_TO)
def test_the_same_export_again_is_up_to_date_and_another_one_needs_force(to: str, house: Path) -> None:
    assert export(to, "--labels", "labels.csv").code == 0
    before = {path: path.lstat().st_mtime_ns for path in OUT.rglob("*")}
    assert export(to, "--labels", "labels.csv", "--json").json["status"] == "up to date"
    assert {path: path.lstat().st_mtime_ns for path in OUT.rglob("*")} == before
    write(house / "labels.csv", "image,label", "old.png,triangle")
    ended = export(to, "--labels", "labels.csv")
    assert (ended.code, "was made with other classes" in ended.stderr) == (2, True)
    assert {path: path.lstat().st_mtime_ns for path in OUT.rglob("*")} == before
    assert export(to, "--labels", "labels.csv", "--force").code == 0
    assert [path.name for path in house.iterdir() if path.name.endswith(".tmp")] == []


def test_force_never_replaces_a_folder_in_which_somebody_has_labelled(house: Path) -> None:
    assert export("folder", "--labels", "labels.csv").code == 0
    (OUT / "__unanswered__/2.png").rename(OUT / "circle/2.png")
    assert export("folder", "--labels", "labels.csv").code == 0, "a nightly script may run again meanwhile"
    write(house / "labels.csv", "image,label", "old.png,triangle")
    ended = export("folder", "--labels", "labels.csv", "--force")
    assert (ended.code, (OUT / "circle/2.png").exists()) == (2, True)
    assert "files have been added, moved or changed since the export, and may be answers" in ended.stderr


@pytest.mark.parametrize("arguments", [(), ("--force",)])
def test_a_folder_of_somebody_elses_is_never_replaced(arguments: tuple[str, ...], house: Path) -> None:
    write(OUT / "thesis.txt", "years of work")
    ended = export("folder", *arguments)
    assert (ended.code, (OUT / "thesis.txt").exists()) == (2, True)
    assert "exists and was not written by `dfal export`" in ended.stderr
    (OUT / "thesis.txt").unlink()
    assert export("folder", *arguments).code == 0


def test_a_folder_left_by_a_killed_export_is_removed(house: Path) -> None:
    write(house / ".out.new.1.tmp" / "part", "")
    assert export("folder").code == 0
    assert not (house / ".out.new.1.tmp").exists()


def test_an_export_into_the_image_root_is_refused(house: Path) -> None:
    ended = dfal("export", "--queries", "queries.csv", "--images", "img", "--to", "folder", "--out", "img/out")
    assert (ended.code, "would become images of the pool" in ended.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--to", "fiftyone", "--copy"), "--copy: no effect with --to fiftyone"),
        (("--to", "excel"), "--to excel: use one of labelstudio, cvat"),
        (("--queries", "none.csv"), "none.csv: no such file (--queries)"),
        (("--images", "none"), "none: no such folder (--images)"),
        (("--class-names", "a,,b"), "--class-names: a class is called ''"),
        (("--out", "labels.csv"), "labels.csv: exists and is not a folder"),
    ],
)
def test_invalid_options_are_told(arguments: tuple[str, ...], said: str, house: Path) -> None:
    ended = export("folder", *arguments)
    assert ended.code == 2
    assert said in ended.stderr


def test_an_answered_list_of_a_tool_is_no_list_to_hand_over(house: Path) -> None:
    write_json(house / "queries.csv", [])
    assert export("folder").code == 3
