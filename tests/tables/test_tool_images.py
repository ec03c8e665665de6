"""The image that an answer of a labelling tool is about: found by rules, told with counts, refused if ambiguous."""

from pathlib import Path

import pytest

from dfal_cli.errors import DataError
from dfal_cli.tables import NameMatcher, read_labels_files
from dfal_cli.tables.tools.forms import Answer
from dfal_cli.tables.tools.matching import ToolImages
from tests.tables.test_tool_answers import labels_in, names
from tests.tables.tool_files import annotation, task, write_json


@pytest.mark.parametrize(
    ("image", "found", "rule"),
    [
        ("a/0.png", "a/0.png", "path"),
        ("./a//0.png", "a/0.png", "path"),
        ("{root}/a/0.png", "a/0.png", "path"),
        ("/elsewhere/img/a/0.png", "a/0.png", "end of path"),
        ("0.png", "a/0.png", "end of path"),
        ("C:\\img\\a\\0.png", "a/0.png", "end of path"),
        ("/data/local-files/?d=img/a/0.png", "a/0.png", "URL"),
        ("/data/local-files/?d=img/%C3%A4%20b.png", "ä b.png", "URL"),
        ("http://host:8080/data/local-files/?x=1&d=a%2F0.png", "a/0.png", "URL"),
        ("s3://bucket/photos/a/0.png?X-Amz-Signature=a%2Fb", "a/0.png", "URL"),
        ("photos/%C3%A4%20b.png", "ä b.png", "URL"),
        ("/data/upload/7/3f2a9c1b-0.png", "a/0.png", "name without what the tool added"),
        ("/data/upload/7/3f2a9c1b-%C3%A4_b.png", "ä b.png", "name without what the tool added"),
        ("train/0_png.rf.00112233445566778899aabbccddeeff.jpg", "a/0.png", "name without what the tool added"),
        ("a/0", "a/0.png", "name without suffix"),
    ],
)
def test_an_image_is_found_by_the_first_rule_that_fits(image: str, found: str, rule: str) -> None:
    images = names().of_tools
    assert images.match(Answer(image.format(root=Path("img").absolute()), "x", "task 1")) == (found, rule)


@pytest.mark.parametrize("image", ["1.png", "c/0.png", "../0.png", "/etc/passwd", "0.jpg", "x-0.png", "", "http://["])
def test_other_images_are_not_found(image: str) -> None:
    assert names(("a/0.png", "d/2.png")).of_tools.match(Answer(image, "x", "task 1")) is None


def test_what_dfal_wrote_into_the_task_comes_first() -> None:
    assert names().of_tools.match(Answer("a/1.png", "x", "task 1", "a/0.png")) == ("a/0.png", "dfal_image")


def test_a_decomposed_name_finds_the_composed_one() -> None:
    assert names().of_tools.match(Answer("x/a\u0308 b.png", "x", "task 1")) == ("ä b.png", "end of path")


def test_an_ambiguous_name_is_refused_and_both_images_are_named(in_tmp: Path) -> None:
    file = write_json(in_tmp / "ls.json", [task(5, "/data/upload/1/00112233-0.png", annotation("circle"))])
    with pytest.raises(DataError, match=r"ls.json, task 5: '/data/.*-0.png' may be 'a/0.png' or 'b/0.png'"):
        labels_in(file, ("a/0.png", "b/0.png", "0.jpg"))


def test_a_name_that_is_the_end_of_one_path_and_ends_with_another_is_ambiguous() -> None:
    images = names(("0.png", "a/0.png")).of_tools
    assert images.match(Answer("a/0.png", "x", "task 1")) == ("a/0.png", "path")
    with pytest.raises(DataError, match=r"may be '0.png' or 'a/0.png'"):
        images.match(Answer("img/a/0.png", "x", "task 1"))


def test_the_images_are_listed_only_if_a_name_is_not_exact() -> None:
    def unexpected() -> list[str]:
        raise AssertionError

    images = ToolImages(Path("img"), lambda image: image, unexpected)
    assert images.match(Answer("a/0.png", "x", "task 1")) == ("a/0.png", "path")


def test_the_form_and_the_rules_are_told_with_counts(in_tmp: Path) -> None:
    file = write_json(
        in_tmp / "ls.json",
        [
            task(1, "?d=img/x", annotation("circle"), dfal_image="a/0.png"),
            task(2, "?d=img/a/1.png", annotation("square")),
            task(3, "?d=img/b/2.png", annotation("square")),
            task(4, "ä b.png"),
        ],
    )
    told: list[str] = []
    read_labels_files([file], NameMatcher(names(), tell=told.append))
    assert told == [f"{file}: Label Studio JSON, 3 answers; images by URL (2), dfal_image (1)"]


def test_images_that_are_not_there_are_told_with_their_place(in_tmp: Path) -> None:
    file = write_json(
        in_tmp / "ls.json", [task(1, "a/0.png", annotation("circle")), task(7, "gone.png", annotation("circle"))]
    )
    warned: list[str] = []
    read_labels_files([file], names().matched(warned.append))
    assert warned == [f"1 of 2 images in {file} is not under img; the first: gone.png (task 7)"]
