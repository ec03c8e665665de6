"""merge: the answers of labelling tools, in place of a query list or for the images of one, and what is doubted."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import dfal, write
from tests.steps.tool_answers import LABELS, answers, house, labels, merge
from tests.tables.tool_files import ANSWERED, FILES, draw_images

__all__ = ["house"]


@pytest.mark.parametrize("form", FILES)
def test_answers_fill_the_list_they_belong_to(form: str, house: Path) -> None:
    ended = merge("--answers", FILES[form](house), "--json")
    assert ended.code == 0, ended.stderr
    assert (labels(), ended.json["counts"]["left"], ended.json["counts"]["skipped"]) == (ANSWERED, 1, 1)


@pytest.mark.parametrize("form", FILES)
def test_answers_alone_need_the_image_root(form: str, house: Path) -> None:
    ended = merge("--images", "img", "--json", queries=FILES[form](house))
    assert ended.code == 0, ended.stderr
    assert labels() == ANSWERED
    again = merge("--images", "img", "--json", queries=FILES[form](house))
    assert (again.json["status"], again.json["counts"]["unchanged"]) == ("up to date", 3)


def test_twins_come_from_the_list(house: Path) -> None:
    np.save(house / "t.npy", np.zeros((1, 16, 16), np.float32))
    write(house / "queries.csv", "image,label,twin", "a/0.png,,t.npy")
    assert merge("--answers", answers("ls.json", ("a/0.png", "circle"))).code == 0
    assert LABELS.read_text() == "image,label,twin\na/0.png,circle,t.npy\n"


def test_answers_to_other_lists_are_left_out_and_counted(house: Path) -> None:
    file = answers("ls.json", ("a/0.png", "circle"), ("old/7.png", "circle"), ("old/8.png", "square"))
    ended = merge("--answers", file, "--json")
    assert labels() == {"a/0.png": "circle"}
    assert ended.json["warnings"] == [
        "2 answers are not about an image in queries.csv, the first about '?d=img/old/7.png'; they are left out"
    ]


def test_what_stands_in_the_list_already_counts_as_an_answer(house: Path) -> None:
    write(house / "queries.csv", "image,label", "a/0.png,circle", "a/1.png,square", "b/2.png,")
    file = answers("ls.json", ("a/0.png", "circle"), ("b/2.png", "square"))
    assert merge("--answers", file).code == 0
    assert labels() == {"a/0.png": "circle", "a/1.png": "square", "b/2.png": "square"}
    LABELS.unlink()
    ended = merge("--answers", answers("other.json", ("a/1.png", "circle")))
    assert (ended.code, LABELS.exists()) == (3, False)
    assert "queries.csv, line 3: image 'a/1.png' is 'square' here and 'circle' in other.json, task 1" in ended.stderr


def test_answers_in_a_copy_of_the_list_are_filled_in(house: Path) -> None:
    np.save(house / "t.npy", np.zeros((1, 16, 16), np.float32))
    write(house / "queries.csv", "image,label,twin", "a/0.png,,t.npy", "a/1.png,,", "b/2.png,,")
    columns = "image,label,twin"
    copies = (
        write(house / "anna.answers.csv", columns, "a/0.png,circle,t.npy", "a/1.png,,"),
        write(house / "ben.answers.csv", columns, "a/0.png,circle,", "b/2.png,__skip__,", "old/7.png,circle,"),
    )
    ended = merge(*(part for copy in copies for part in ("--answers", copy)), "--json")
    assert ended.code == 0, ended.stderr
    assert LABELS.read_text() == "image,label,twin\na/0.png,circle,t.npy\nb/2.png,__skip__,\n"
    assert "1 answer is not about an image in queries.csv" in ended.json["warnings"][0]
    write(house / "ben.answers.csv", "image,label", "a/1.png,square", "a/0.png,square")
    refused = merge("--answers", copies[0], "--answers", copies[1])
    assert refused.code == 3
    said = "anna.answers.csv, line 2: image 'a/0.png' is 'circle' here and 'square' in"
    assert said in refused.stderr and "ben.answers.csv, line 3" in refused.stderr


def test_answers_need_a_list(house: Path) -> None:
    file = answers("ls.json", ("a/0.png", "circle"))
    write(house / "other.csv", "name,class", "a/0.png,circle")
    no_answers = ("queries.csv", "none.json", "other.csv")
    for queries, given in ((file, file), ("img", file), *(("queries.csv", name) for name in no_answers)):
        ended = merge("--answers", given, queries=queries)
        assert ended.code == 2, (queries, given)
        assert "--answers" in ended.stderr


def test_a_typing_error_in_a_tool_is_told_with_its_place(house: Path) -> None:
    write(LABELS, "image,label", "b/2.png,circle")
    ended = merge("--answers", answers("ls.json", ("a/0.png", "circle"), ("a/1.png", "Circle")))
    assert ended.code == 3
    assert "ls.json, task 2: 'Circle' is a new class that differs from 'circle' only in upper and lower" in ended.stderr


def warned(file: Path) -> list[str]:
    ended = merge("--answers", file, "--dry-run", "--json")
    assert ended.code == 0, ended.stderr
    return list(ended.json["warnings"])


def test_an_image_of_cvat_that_has_only_a_box_is_counted_in_a_warning(house: Path) -> None:
    boxed = '<box label="circle" xtl="0" ytl="0" xbr="9" ybr="9"/>'
    images = [f'<image id="{n}" name="a/{n}.png">{boxed}</image>' for n in (0, 1)]
    tagged = f'<image id="2" name="b/2.png">{boxed}<tag label="square"/></image>'
    file = write(Path("cvat.xml"), f"<annotations>{''.join(images)}{tagged}</annotations>")
    assert warned(file) == [
        "cvat.xml, image 0: the image has shapes but no tag, so it has no answer (1 more image like this)"
    ]
    assert merge("--answers", file).code == 0
    assert labels() == {"b/2.png": "square"}


@pytest.mark.parametrize("kind", ["csv", "json lines", "parquet"])
def test_labels_of_hugging_face_that_are_numbers_without_names_are_doubted(kind: str, house: Path) -> None:
    rows = [{"file_name": "a/0.png", "label": 1}, {"file_name": "a/1.png", "label": 0}]
    file = house / "metadata"
    if kind == "csv":
        write(file, "file_name,label", *(f"{row['file_name']},{row['label']}" for row in rows))
    elif kind == "json lines":
        write(file, *map(json.dumps, rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), file)
    place = "row 1" if kind == "parquet" else "line 1" if kind == "json lines" else "line 2"
    (said,) = warned(file)
    assert said.endswith(
        f"metadata, {place}: the label is a number without the name of its class, and is taken for the name; "
        'if it is an index, write the names into the file (features["label"].int2str) (1 more image like this)'
    )
    assert merge("--answers", file).code == 0
    assert labels() == {"a/0.png": "1", "a/1.png": "0"}


def test_numbers_that_are_names_of_classes_are_not_doubted(house: Path) -> None:
    handed = write(house / "handed.csv", "file_name,label,dfal_image", "images/a/0.png,7,a/0.png")
    assert warned(handed) == []
    assert warned(write(house / "mixed.csv", "file_name,label", "a/0.png,7", "a/1.png,circle")) == []


def test_in_folders_what_systems_put_there_is_no_answer_and_a_loose_image_is_told(house: Path) -> None:
    draw_images(house / "sorted", ("circle/0.png", "1.png"))
    for name in ("circle/Thumbs.db", "circle/.DS_Store", "circle/desktop.ini", "Thumbs.db", "model.safetensors"):
        write(house / "sorted" / name, "")
    draw_images(house / "sorted", ("__MACOSX/2.png", "@eaDir/2.png"))
    (said,) = warned(house / "sorted")
    assert said.endswith("sorted, 1.png: the image is in no folder of a class, so it has no answer")
    assert merge("--answers", "sorted").code == 0
    assert labels() == {"a/0.png": "circle"}


def test_an_empty_export_merges_nothing(house: Path) -> None:
    ended = merge("--answers", write(house / "ls.json", "[]"), "--json")
    assert (ended.code, ended.json["counts"]["left"]) == (0, 4)


def read_commands() -> dict[str, tuple[Any, ...]]:
    """Each command that takes --labels, as far as it reads them."""
    images = ("--images", "img")
    return {
        "select": ("select", *images, "--strategy", "random", "--count", 1, "--out", "q.csv"),
        "export": ("export", *images, "--queries", "queries.csv", "--to", "folder", "--out", "out"),
        "train": ("train", *images, "--out", "m.safetensors", "--epochs", 1, "--device", "cpu"),
    }


@pytest.mark.parametrize("command", read_commands())
@pytest.mark.parametrize("form", ["Label Studio JSON", "a folder per class", "Hugging Face metadata (CSV)"])
def test_labels_of_other_commands_may_be_answers_of_a_tool(command: str, form: str, house: Path) -> None:
    ended = dfal(*read_commands()[command], "--labels", FILES[form](house))
    assert ended.code == 0, ended.stderr
    if command == "select":  # all others are labelled or unusable
        assert Path("q.csv").read_text().splitlines()[1].startswith("1,ä b.png,")
    if command == "export":
        assert {path.name for path in Path("out").iterdir()} >= {"circle", "square, big"}
    else:
        assert f": {form}, 3 answers; images by " in ended.stderr
