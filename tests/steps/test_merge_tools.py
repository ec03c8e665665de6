"""merge: the answers of labelling tools, in place of a query list or for the images of one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import Ended, dfal, write
from tests.tables.tool_files import ANSWERED, FILES, IMAGES, annotation, draw_images, task, write_json

LABELS = Path("labels.csv")


def merge(*arguments: object, queries: object = "queries.csv") -> Ended:
    return dfal("merge", "--queries", queries, "--labels", LABELS, *arguments)


def labels() -> dict[str, str]:
    from dfal_cli.tables import read_labels

    table = read_labels(LABELS)
    return dict(zip(table["image"], table["label"], strict=True))


def answers(name: str, *given: tuple[str, ...], when: str = "2026-01-01") -> Path:
    """A Label Studio export: for each image the annotations, a day apart."""
    tasks = [task(n, f"?d=img/{image}", *(annotation(label, f"{when}T0{hour}") for hour, label in enumerate(said)))
             for n, (image, *said) in enumerate(given, 1)]  # fmt: skip
    return write_json(Path(name), tasks)


@pytest.fixture
def house(in_tmp: Path) -> Path:
    """Four images, and a list of them without answers."""
    draw_images(in_tmp / "img")
    rows = [f"{rank},{image},,0.1," for rank, image in enumerate(IMAGES, 1)]
    write(in_tmp / "queries.csv", "rank,image,label,margin,twin", *rows)
    return in_tmp


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


def test_without_image_root_paths_are_taken_as_they_are_and_urls_are_refused(house: Path) -> None:
    assert merge(queries=FILES["Hugging Face metadata (CSV)"](house)).code == 0
    assert labels() == ANSWERED
    LABELS.unlink()
    ended = merge(queries=FILES["Label Studio JSON_MIN"](house))
    assert (ended.code, LABELS.exists()) == (3, False)
    assert "min.json: image '/data/upload/1/a/0.png': an absolute path" in ended.stderr
    assert "name the image root with --images, or give the query list as --queries" in ended.stderr


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


DIFFERING: dict[str, tuple[list[tuple[str, ...]], dict[str, str]]] = {
    "newest": ([("a/0.png", "circle", "square"), ("a/1.png", "square")], {"a/0.png": "square", "a/1.png": "square"}),
    "majority": ([("a/0.png", "circle", "square", "circle")], {"a/0.png": "circle"}),
}


@pytest.mark.parametrize("rule", DIFFERING)
def test_people_who_differ_are_a_conflict_that_a_rule_settles(rule: str, house: Path) -> None:
    given, expected = DIFFERING[rule]
    file = answers("ls.json", *given)
    refused = merge("--answers", file)
    assert (refused.code, LABELS.exists()) == (3, False)
    assert "ls.json, task 1: image 'a/0.png' is 'circle' here and 'square' in ls.json, task 1" in refused.stderr
    assert "--on-conflict newest` or `majority" in refused.stderr
    ended = merge("--answers", file, "--on-conflict", rule, "--json")
    assert labels() == expected
    assert ended.json["warnings"] == [f"1 image has different answers; the {rule} counts (--on-conflict)"]


@pytest.mark.parametrize(
    ("rule", "file"),
    [("majority", "Label Studio"), ("newest", "CVAT")],
    ids=["a draw has no majority", "a file without times has no newest answer"],
)
def test_a_rule_that_does_not_settle_it_is_told(rule: str, file: str, house: Path) -> None:
    path = answers("ls.json", ("a/0.png", "circle", "square"), ("a/1.png", "circle", "square"))
    if file == "CVAT":
        jobs = [f'<image id="{n}" name="a/{n}.png"><tag label="{label}"/></image>'
                for label in ("circle", "square") for n in (0, 1)]  # fmt: skip
        path = write(house / "cvat.xml", f"<annotations>{''.join(jobs)}</annotations>")
    ended = merge("--answers", path, "--on-conflict", rule)
    assert (ended.code, LABELS.exists()) == (3, False)
    assert f"(1 more image like this); {rule} does not settle it" in ended.stderr


def test_two_files_of_two_people_are_compared(house: Path) -> None:
    files = [answers(f"{name}.json", ("a/0.png", label), when=when)
             for name, label, when in (("anna", "circle", "2026-01-02"), ("ben", "square", "2026-01-01"))]  # fmt: skip
    both = [part for file in files for part in ("--answers", file)]
    ended = merge(*both)
    assert ended.code == 3
    assert "anna.json, task 1: image 'a/0.png' is 'circle' here and 'square' in ben.json, task 1" in ended.stderr
    assert merge(*both, "--on-conflict", "newest").code == 0
    assert labels() == {"a/0.png": "circle"}


def test_conflicts_among_answers_and_with_labels_are_settled_separately(house: Path) -> None:
    write(LABELS, "image,label", "a/0.png,triangle", "b/2.png,square")
    file = answers("ls.json", ("a/0.png", "circle", "square"))
    assert merge("--answers", file, "--on-conflict", "newest", "--allow-new-classes").code == 3
    assert merge("--answers", file, "--on-conflict", "replace").code == 3
    assert merge("--answers", file, "--on-conflict", "newest,replace").code == 0
    assert labels() == {"a/0.png": "square", "b/2.png": "square"}


@pytest.mark.parametrize("rules", ["keep,replace", "newest,majority", "error,newest", "oldest", "keep,oldest", ""])
def test_rules_that_exclude_each_other_are_refused(rules: str, house: Path) -> None:
    ended = merge("--on-conflict", rules or "keep,")
    assert ended.code == 2
    assert "--on-conflict" in ended.stderr


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
