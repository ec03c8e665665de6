"""merge: which image an answer of a labelling tool is about, by its path, name or URL."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import write
from tests.steps.tool_answers import LABELS, answers, house, labels, merge
from tests.tables.tool_files import ANSWERED, FILES, annotation, draw_images, task, write_json

__all__ = ["house"]


def test_without_image_root_paths_are_taken_as_they_are_and_urls_are_refused(house: Path) -> None:
    assert merge(queries=FILES["Hugging Face metadata (CSV)"](house)).code == 0
    assert labels() == ANSWERED
    LABELS.unlink()
    ended = merge(queries=FILES["Label Studio JSON_MIN"](house))
    assert (ended.code, LABELS.exists()) == (3, False)
    assert "min.json: image '/data/upload/1/a/0.png': an absolute path" in ended.stderr
    assert "name the image root with --images, or give the query list as --queries" in ended.stderr


def test_a_folder_per_class_outside_the_image_root_is_matched_by_file_name(house: Path) -> None:
    draw_images(house / "sorted", ("circle/0.png", "square/2.png", "square/9.png"))
    ended = merge("--images", "img", queries="sorted")
    assert (ended.code, LABELS.exists()) == (3, False)
    assert "square/9.png" in ended.stderr
    (house / "sorted/square/9.png").unlink()
    assert merge("--images", "img", queries="sorted").code == 0
    assert labels() == {"a/0.png": "circle", "b/2.png": "square"}


def test_a_skipped_image_that_does_not_exist_is_left_out(house: Path) -> None:
    file = answers("ls.json", ("a/0.png", "circle"), ("gone.png", "__skip__"))
    ended = merge("--images", "img", "--json", queries=file)
    assert labels() == {"a/0.png": "circle"}
    assert ended.json["warnings"] == [
        "ls.json: 1 skipped image is not under img, the first: '?d=img/gone.png'; it is left out"
    ]


def test_an_answer_about_an_image_that_does_not_exist_is_refused(house: Path) -> None:
    ended = merge("--images", "img", queries=answers("ls.json", ("a/0.png", "circle"), ("gone.png", "circle")))
    assert (ended.code, LABELS.exists()) == (3, False)
    assert "ls.json, task 2: image '?d=img/gone.png' is not under img" in ended.stderr


def _classification(path: Path) -> Path:
    return write_json(path / "labels.json", {"classes": ["circle"], "labels": {"0": 0}})


BY_NAME: dict[str, Callable[[Path], Path]] = {
    "CVAT": lambda path: write(
        path / "cvat.xml", '<annotations><image id="0" name="0.png"><tag label="circle"/></image></annotations>'
    ),
    "Label Studio": lambda path: write_json(
        path / "ls.json", [task(1, "/data/upload/3/0123abcd-0.png", annotation("circle"))]
    ),
    "a folder per class": lambda path: draw_images(path / "sorted", ("circle/0.png",)),
    "FiftyOne": _classification,
    "Roboflow": lambda path: write(
        path / "_classes.csv", "filename,circle", f"0_png.rf.{'0a' * 16}.jpg,1"
    ),
}  # fmt: skip
"""Files in which 0.png is a circle, whatever folder it is in."""


@pytest.mark.parametrize("tool", BY_NAME)
def test_a_name_that_another_image_of_the_root_has_is_refused(tool: str, house: Path) -> None:
    draw_images(house / "img", ("b/0.png",))
    write(house / "queries.csv", "image,label", "a/0.png,")
    file = BY_NAME[tool](house)
    ended = merge("--answers", file, "--images", "img")
    assert (ended.code, LABELS.exists()) == (3, False)
    assert "may be 'a/0.png' or 'b/0.png'; hand images over with `dfal export`" in ended.stderr
    (house / "img/b/0.png").unlink()
    assert merge("--answers", file, "--images", "img").code == 0
    assert labels() == {"a/0.png": "circle"}


@pytest.mark.parametrize("tool", BY_NAME)
def test_without_the_root_a_name_that_an_image_of_an_earlier_list_has_is_refused(tool: str, house: Path) -> None:
    """The export of a tool may hold earlier lists, whose images are in the labels file."""
    write(house / "queries.csv", "image,label", "a/0.png,")
    write(LABELS, "image,label", "b/0.png,circle")
    before, file = LABELS.read_bytes(), BY_NAME[tool](house)
    ended = merge("--answers", file)
    assert (ended.code, LABELS.read_bytes()) == (3, before)
    assert "may be 'a/0.png' or 'b/0.png'; hand images over with `dfal export`" in ended.stderr
    write(LABELS, "image,label", "b/1.png,circle")
    assert merge("--answers", file).code == 0
    assert labels() == {"b/1.png": "circle", "a/0.png": "circle"}


def test_a_path_is_no_name_and_stays_clear_beside_other_images_of_the_root(house: Path) -> None:
    draw_images(house / "img", ("0.png", "b/0.png"))
    write(house / "queries.csv", "image,label", "0.png,", "a/0.png,")
    file = answers("ls.json", ("0.png", "circle"), ("a/0.png", "square"), ("b/0.png", "triangle"))
    ended = merge("--answers", file, "--images", "img", "--json")
    assert ended.code == 0, ended.stderr
    assert labels() == {"0.png": "circle", "a/0.png": "square"}
    assert "1 answer is not about an image in queries.csv" in ended.json["warnings"][0]


def test_a_url_that_may_begin_with_the_name_of_the_root_is_refused(house: Path) -> None:
    draw_images(house / "img", ("0.png",))
    (house / "img").rename("a")
    file = write_json(Path("ls.json"), [task(1, "/data/local-files/?d=a/0.png", annotation("circle"))])
    ended = merge("--answers", file, "--images", "a")
    assert (ended.code, LABELS.exists()) == (3, False)
    assert "may be '0.png' or 'a/0.png'" in ended.stderr


def test_an_image_in_two_unicode_forms_is_one_image(house: Path) -> None:
    draw_images(house / "img", ("c/\u00e9.png",))
    write(LABELS, "image,label", "c/e\u0301.png,")
    write(house / "queries.csv", "image,label", "c/e\u0301.png,")
    file = answers("ls.json", ("c/\u00e9.png", "circle"))
    assert merge("--answers", file, "--images", "img").code == 0
    assert labels() == {"c/e\u0301.png": "circle"}


def test_an_upload_that_may_have_had_a_blank_in_its_name_is_refused(house: Path) -> None:
    draw_images(house / "img", ("c/my photo.png", "c/my_photo.png"))
    write(house / "queries.csv", "image,label", "c/my photo.png,")
    file = write_json(Path("ls.json"), [task(1, "/data/upload/3/0123abcd-my_photo.png", annotation("circle"))])
    ended = merge("--answers", file, "--images", "img")
    assert (ended.code, LABELS.exists()) == (3, False)
    assert "may be 'c/my photo.png' or 'c/my_photo.png'" in ended.stderr
