"""The nightly script and the answers it finds: saved by spreadsheets, unfinished, wrong, corrected or damaged."""

import re
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import dfal, write
from tests.nights import Nights, files_of, labels_of
from tests.steps.test_select_again import EDITS, as_csv
from tests.test_nights import nights

__all__ = ["nights"]


def test_a_list_is_merged_however_a_spreadsheet_saved_it(nights: Nights) -> None:
    nights()
    for number, (name, edit) in enumerate(EDITS.items()):  # a night each
        nights.answer(number, edit)
        merged = set(pd.read_csv(f"rounds/{number:03d}/queries.csv", sep=None, engine="python", dtype=str)["image"])
        ended = nights("--quiet")
        assert ended.code == 0, (name, ended.stderr)
        assert f"waiting for 3 answers in rounds/{number + 1:03d}/queries.csv" in ended.stdout, name
        labels = labels_of(number + 1)
        assert {image.removeprefix("./") for image in merged} <= set(labels), name
        assert all(label == nights.oracle[image] for image, label in labels.items())


@pytest.mark.parametrize("name", [name for name in EDITS if name != "filtered"])
def test_a_list_that_is_half_answered_is_waited_for_however_it_was_saved(nights: Nights, name: str) -> None:
    nights()
    nights.answer(0, lambda table: EDITS[name](table[::-1]), rows=1)
    before = files_of(0)
    ended = nights("--quiet")
    left = "1 answer" if name == "all of it" else "2 answers"  # the first deletes a row
    assert (ended.code, ended.stderr) == (0, "")
    asked, waiting = ended.stdout.splitlines()
    assert asked.startswith("answer in the browser: ")
    assert waiting == f"waiting for {left} in rounds/000/queries.csv (look at rounds/000/preview.html)"
    assert files_of(0) == before


def test_a_wrong_answer_stops_the_night_until_it_is_corrected(nights: Nights) -> None:
    nights()
    nights.answer(0, as_csv)
    nights()
    nights.answer(1, lambda table: as_csv(table.assign(label="drak")))
    before = files_of(1)
    for _ in range(2):
        ended = nights("--quiet")
        assert (ended.code, "'drak' is a new class" in ended.stderr) == (3, True), ended.stderr
        assert files_of(1) == before
        assert not Path("rounds/002").exists()
    nights.answer(1, as_csv)
    ended = nights("--quiet", EPOCHS=2)
    assert (ended.code, ended.stderr) == (0, "")
    assert "waiting for 3 answers in rounds/002/queries.csv" in ended.stdout


def test_a_new_class_is_refused_with_the_settings_that_allow_it(nights: Nights) -> None:
    nights()
    nights.answer(0, as_csv)
    nights()
    nights.answer(1, lambda table: as_csv(table.assign(label="grey")))
    ended = nights("--quiet")
    assert ended.code == 3
    assert "'grey' is a new class; the known classes are dark, light; correct it, or allow it with CLASSES or " in (
        ended.stderr
    )
    assert "CLASSES=a,b,c names classes in advance; NEW_CLASSES=yes accepts any new class" in ended.stderr
    assert "--class-names" not in ended.stderr
    assert nights("--quiet", CLASSES="grey").code == 0


@pytest.mark.parametrize("label", ["light", "__skip__"])
def test_after_a_first_list_of_one_class_another_random_list_is_made(nights: Nights, label: str) -> None:
    nights()
    nights.answer(0, lambda table: as_csv(table.assign(label=label)))
    for _ in range(2):
        ended = nights("--quiet")
        assert (ended.code, ended.stderr) == (0, "")
        assert "waiting for 3 answers in rounds/001/queries.csv" in ended.stdout
    assert not set(labels_of(1)) & set(pd.read_csv("rounds/001/queries.csv")["image"])
    nights.answer(1, lambda table: as_csv(table.assign(label=["dark", "light", "dark"])))
    assert "round 2: " in nights("--quiet").stdout


@pytest.mark.parametrize("label", ["light", ""])
def test_labels_corrected_by_hand_count_as_they_are_now(nights: Nights, label: str) -> None:
    nights()
    nights.answer(0, lambda table: as_csv(table.assign(label="dark")))
    nights()
    Path("rounds/001/queries.csv").unlink()
    first, *others = labels_of(1)
    write(Path("rounds/001/labels.csv"), "image,label", f"{first},{label}", *(f"{image},dark" for image in others))
    assert ("round 1: 3 labels" in nights("--quiet").stdout) == bool(label)


def test_labels_that_cannot_be_read_end_the_night_instead_of_passing_for_one_class(nights: Nights) -> None:
    nights()
    nights.answer(0, lambda table: as_csv(table.assign(label="dark")))
    nights()
    Path("rounds/001/queries.csv").unlink()
    write(Path("rounds/001/labels.csv"), "image,lable", "000.png,dark")
    ended = nights("--quiet")
    assert (ended.code, "at random" in ended.stdout) == (3, False), ended.stdout


def test_labels_and_lists_may_have_thousands_of_rows(nights: Nights) -> None:
    many = [f"elsewhere/{number:0100d}.png,__skip__" for number in range(2000)]
    write(
        Path("mine.csv"),
        "image,label",
        *(f"{image},{nights.oracle[image]}" for image in list(nights.oracle)[8:12]),
        *many,
    )
    ended = nights("--quiet", LABELS="mine.csv")
    assert (ended.code, "round 1: 4 labels" in ended.stdout) == (0, True), ended.stderr
    with Path("rounds/001/queries.csv").open("a") as file:
        file.writelines(f"{number},more/{number:0100d}.png,__skip__,,\n" for number in range(2000))
    ended = nights("--quiet")
    assert (ended.code, "waiting for 3 answers" in ended.stdout) == (0, True), ended.stderr


def test_labels_that_came_after_the_first_round_had_started_are_not_read_and_it_is_said(nights: Nights) -> None:
    rows = [f"{image},{label}" for image, label in list(nights.oracle.items())[8:]]
    write(Path("mine.csv"), "image,label", *rows[:4])
    nights(LABELS="mine.csv")
    assert "LABELS" not in nights("--quiet", LABELS="mine.csv").stdout
    asked = set(pd.read_csv("rounds/001/queries.csv")["image"])
    write(Path("mine.csv"), "image,label", *rows[:4], *[row for row in rows[4:] if row.split(",")[0] not in asked][:2])
    said = nights("--quiet", LABELS="mine.csv").stdout
    (remedy,) = re.findall(r"2 of its labels are not in rounds/001/labels.csv: to add them, dfal (.*)", said)
    assert dfal(*remedy.split()).code == 0
    assert len(labels_of(1)) == 6
    assert "LABELS" not in nights("--quiet", LABELS="mine.csv").stdout


@pytest.mark.parametrize("oracle", ["", "oracle.csv"])
def test_a_list_without_rows_is_waited_for_until_it_is_deleted(nights: Nights, oracle: str) -> None:
    nights()
    whole = Path("rounds/000/queries.csv").read_text()
    write(Path("rounds/000/queries.csv"), whole.splitlines()[0])
    for _ in range(2):
        ended = nights("--quiet", ORACLE=oracle)
        assert (ended.code, ended.stderr) == (0, "")
        assert ended.stdout == "waiting: rounds/000/queries.csv has no rows; delete it to get a new list\n"
    assert not Path("rounds/001").exists()
    Path("rounds/000/queries.csv").unlink()
    nights("--quiet")
    assert Path("rounds/000/queries.csv").read_text() == whole


def test_a_damaged_image_name_ends_the_night_before_its_label_is_merged(nights: Nights) -> None:
    nights()
    nights.answer(0, lambda table: as_csv(table.assign(image=table["image"].str.replace(".png", ".PNG"))))
    ended = nights("--quiet")
    assert ended.code == 3
    assert len(ended.stderr.splitlines()) == 1
    assert "is not under images, but" in ended.stderr
    assert not Path("rounds/001").exists()


def test_with_named_classes_a_typing_error_in_the_first_list_stops_the_night(nights: Nights) -> None:
    nights()
    nights.answer(0, lambda table: as_csv(table.assign(label=["dark", "lihgt", "light"])))
    ended = nights(CLASSES="dark,light")
    assert (ended.code, "'lihgt'" in ended.stderr) == (3, True), ended.stderr
    nights.answer(0, as_csv)
    assert nights(CLASSES="dark,light").code == 0
