"""The answers of labelling tools are recognised by content, and read or refused with the reason."""

import contextlib
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dfal_cli.errors import DataError, UsageError
from dfal_cli.tables import ImageNames, read_labels_files, read_tool_answers
from dfal_cli.tables.tools import FORMS
from tests.conftest import write
from tests.tables.tool_files import ANSWERED, FILES, IMAGES, annotation, task, write_json

HANDOFF = Path(__file__).parents[3] / "shared/handoff"


def names(there: tuple[str, ...] = IMAGES) -> ImageNames:
    return ImageNames(Path("img"), set(there).__contains__, lambda: there)


def labels_in(path: Path, there: tuple[str, ...] = IMAGES) -> dict[str, str]:
    table = read_labels_files([path], names(there).renamed)
    return dict(zip(table["image"], table["label"], strict=True))


@pytest.mark.parametrize("form", FILES)
def test_each_form_is_recognised_by_its_content_and_says_which_image_is_what(form: str, in_tmp: Path) -> None:
    path = FILES[form](in_tmp)
    if path.is_file():
        path = path.rename(in_tmp / "a file of any name")
    found = read_tool_answers(path)
    assert found is not None
    assert found.form in {each.name for each in FORMS}
    assert labels_in(path) == ANSWERED


def test_every_form_has_a_file_of_ours() -> None:
    assert {form.name for form in FORMS} <= set(FILES)


@pytest.mark.parametrize("name", ["all.json", "json", "all.min.json", "min.json", "all.csv", "csv", "all.tsv", "tsv"])
def test_exports_of_a_real_label_studio_server(name: str) -> None:
    if not HANDOFF.exists():
        pytest.skip("no ../shared/handoff here: exports of a real Label Studio server")
    found = read_tool_answers(HANDOFF / f"labelstudio.{name}")
    assert found is not None
    assert found.form.startswith("Label Studio ")
    answers = {(each.dfal_image, each.label) for each in found.answers if each.label}
    skipped = {("a/0003.png", "__skip__")} if name.endswith("json") and "min" not in name else set()
    assert answers == skipped | {
        ("a/0000.png", "circle"), ("a/0001.png", "square, big"), ("a/0002.png", "NA"),
        ("a/0004.png", "circle"), ("a/0004.png", "NA"), ("ä b.png", "circle"),
    }  # fmt: skip


REAL = sorted((Path(__file__).parents[1] / "data/tools").glob("[!R]*.*"))


@pytest.mark.parametrize("file", REAL, ids=lambda path: path.name)
def test_exports_of_real_tools(file: Path) -> None:
    """See tests/data/tools/README.md for what they say."""
    there = ("a/0.png", "a/1.png", "b/0.png", "test/2.png", "ä b+c.png", "d/5.png")
    expected = {"a/0.png": "circle", "a/1.png": "square, big", "b/0.png": "NA", "ä b+c.png": "circle"}
    if file.name in ("labelstudio.json", "cvat-datumaro.xml"):
        expected |= {"test/2.png": "__skip__"}
    if file.name == "labelstudio-uploaded.json":
        expected = {"ä b+c.png": "circle", "d/5.png": "NA"}
    assert labels_in(file, there) == expected


@pytest.mark.parametrize(
    "value",
    [
        {"classes": ["a"], "labels": {"a/0": {"label": 0, "confidence": 0.9}}},
        {"samples": [{"filepath": "a/0.png", "p": {"_cls": "Classification", "label": "a", "confidence": 0.9}}]},
    ],
    ids=["labels", "samples"],
)
def test_predictions_are_never_taken_for_answers(value: dict[str, Any], in_tmp: Path) -> None:
    with pytest.raises(DataError, match="predictions of a model, not answers"):
        labels_in(write_json(in_tmp / "f.json", value))


@pytest.mark.parametrize(
    "lines",
    [
        ["image,label", "a/0.png,circle"],
        ["label;image", "circle;a/0.png"],
        ["image,label,file_name", "a/0.png,circle,0.png"],
        ["[image],label", "a/0.png,circle"],
        [""],
    ],
)
def test_tables_of_our_own_are_not_taken_for_those_of_a_tool(lines: list[str], in_tmp: Path) -> None:
    assert read_tool_answers(write(in_tmp / "t.csv", *lines)) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[{"id": 1, "annotations": [', r"line \d: not JSON"),
        ('{"a": 1}', "its answers have no known form; known are Label Studio JSON"),
        ("<html><body/></html>", "its answers have no known form"),
        ('<annotations><track id="0"/></annotations>', "its answers have no known form"),
        ("<annotations><image>", "not XML"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><annotations>&a;</annotations>', "a document type"),
        ("PAR1 but nothing else", "not Parquet, or damaged"),
        ("[" * 100_000, "too many nested brackets"),
    ],
)
def test_a_damaged_file_is_refused_with_the_reason(content: str, said: str, in_tmp: Path) -> None:
    file = write(in_tmp / "answers", content)
    with pytest.raises(DataError, match=said) as error:
        read_labels_files([file])
    assert str(error.value).startswith(str(file))


ODD: tuple[Any, ...] = (None, 5, -1.5, "", "\0", "\ud800", [], {}, [None], {"a": []})
"""Values that replace those of a file."""


def damaged(value: Any) -> Iterator[Any]:
    """Each copy of a JSON value in which one part is replaced by something odd, or missing."""
    yield from ODD
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in list(parts):
        for odd in damaged(part):
            changed = copy.copy(value)
            changed[key] = odd
            yield changed
        changed = copy.copy(value)
        del changed[key]
        yield changed


@pytest.mark.parametrize("form", [form for form in FILES if "JSON" in form or form == "FiftyOne samples"])
def test_a_part_that_is_odd_or_missing_is_never_a_bug(form: str, in_tmp: Path) -> None:
    *above, line = FILES[form](in_tmp).read_text(encoding="utf-8").splitlines()
    for number, odd in enumerate(damaged(json.loads(line))):
        file = write(in_tmp / f"{number}", *above, json.dumps(odd))
        with contextlib.suppress(DataError):
            labels = labels_in(file)
            assert all(isinstance(label, str) and label for label in labels.values())
            "".join([*labels, *labels.values()]).encode()


def test_several_choices_for_one_image_are_refused(in_tmp: Path) -> None:
    two = annotation("circle")
    two["result"][0]["value"]["choices"].append("square")
    with pytest.raises(DataError, match=r"ls.json: task 3: 2 choices \(circle, square\); an image has one label"):
        read_labels_files([write_json(in_tmp / "ls.json", [task(3, "a/0.png", two)])])


def test_several_tags_of_one_image_are_refused_and_one_tag_twice_is_one_answer(in_tmp: Path) -> None:
    def tagged(*tags: str) -> Path:
        image = "".join(f'<tag label="{tag}"/>' for tag in tags)
        return write(in_tmp / "cvat.xml", f'<annotations><image id="4" name="a/0.png">{image}</image></annotations>')

    with pytest.raises(DataError, match=r"cvat.xml: image 4: 2 tags \(circle, square\); an image has one label"):
        labels_in(tagged("circle", "square"))
    assert labels_in(tagged("circle", "circle")) == {"a/0.png": "circle"}


def test_an_archive_is_to_be_unpacked(in_tmp: Path) -> None:
    (in_tmp / "cvat.zip").write_bytes(b"PK\x03\x04")
    with pytest.raises(UsageError, match="is an archive; unpack it"):
        read_labels_files([in_tmp / "cvat.zip"])


def test_folders_above_a_file_of_answers_are_not_taken_for_classes(in_tmp: Path) -> None:
    write(in_tmp / "robo" / "train" / "_classes.csv", "filename,cat", "x.jpg,1")
    write(in_tmp / "robo" / "train" / "x.jpg", "")
    with pytest.raises(DataError, match=r"robo: train/_classes.csv holds the answers, not the names of folders"):
        read_labels_files([in_tmp / "robo"])


def test_two_people_who_agree_count_once_and_two_who_differ_are_refused_with_both_labels(in_tmp: Path) -> None:
    agreeing = write_json(in_tmp / "ls.json", [task(1, "a/0.png", annotation("circle"), annotation("circle"))])
    assert labels_in(agreeing) == {"a/0.png": "circle"}
    differing = write_json(in_tmp / "two.json", [task(1, "a/0.png", annotation("circle"), annotation("square"))])
    with pytest.raises(DataError) as error:
        labels_in(differing)
    assert str(error.value) == (
        f"{differing}, task 1: image 'a/0.png' is 'circle' here and 'square' in {differing}, task 1; "
        "choose with `dfal merge --on-conflict newest` or `majority`"
    )
