"""The nightly script goes on from whatever people, spreadsheets, changed settings and kills have left."""

import itertools
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import pandas as pd
import pytest

from dfal_cli.tables.class_keys import ClassKeys
from tests.conftest import dfal, write
from tests.nights import Nights, files_of, labels_of
from tests.page import Page
from tests.steps.test_preview import listed
from tests.steps.test_select_again import EDITS, as_csv

Case = TypeVar("Case")


@pytest.fixture
def nights(in_tmp: Path) -> Nights:
    """Nothing has been asked yet."""
    return Nights(in_tmp)


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


CHANGES = {"COUNT": 4, "EPOCHS": 2, "ARCH": "lenet5", "IMAGE_SIZE": 20, "STRATEGY": "entropy"}


LEFT = (["model.safetensors"], ["model.safetensors", "scores.parquet"])
"""Files that a killed night has written."""


def test_a_changed_setting_counts_from_the_next_round_on(nights: Nights) -> None:
    for setting, value in second_lists(nights, CHANGES.items()):
        for rows in (0, 1, 3):  # nothing answered yet, some, all
            nights.answer(1, as_csv, rows)
            before = files_of(1)
            ended = nights(**{setting: value})
            assert (ended.code, "overwriting" in ended.stderr) == (0, False), (setting, ended.stderr)
            assert files_of(1) == before, setting
        said = f"waiting for {value if setting == 'COUNT' else 3} answers in rounds/002/queries.csv"
        assert said in ended.stdout, setting


def test_a_killed_night_is_repeated_with_the_current_settings(nights: Nights) -> None:
    for left, (setting, value) in second_lists(nights, itertools.product(LEFT, CHANGES.items())):
        for file in {"scores.parquet", "queries.csv", "preview.html"} - set(left):
            Path("rounds/001", file).unlink()
        ended = nights(**{setting: value})
        assert ended.code == 0, (setting, left, ended.stderr)
        said = f"waiting for {value if setting == 'COUNT' else 3} answers in rounds/001/queries.csv"
        assert said in ended.stdout, (setting, left)
        if setting not in ("COUNT", "STRATEGY"):  # which are no options of train
            option = f"--{setting.lower().replace('_', '-')}"
            assert re.search(rf"model.safetensors: exists, and was made with(out)? {option} ", ended.stderr), (
                left, ended.stderr
            )  # fmt: skip


def second_lists(nights: Nights, cases: Iterable[Case]) -> Iterator[Case]:
    """Yield the cases; each finds the rounds as they are when the second list has been written."""
    nights()
    nights.answer(0, as_csv)
    nights()
    shutil.copytree("rounds", "second list")
    for case in cases:
        yield case
        shutil.rmtree("rounds")
        shutil.copytree("second list", "rounds")


def test_a_killed_night_is_repeated_after_images_and_labels_changed(nights: Nights) -> None:
    nights()
    nights.answer(0, as_csv)
    nights()
    Path("rounds/001/queries.csv").unlink()
    labels = labels_of(1)
    gone = next(image for image in list(nights.oracle)[8:] if image not in labels)
    Path("images", gone).unlink()
    first, *others = labels
    write(Path("rounds/001/labels.csv"), "image,label", f"{first},light", *(f"{image},dark" for image in others))
    ended = nights()
    assert ended.code == 0, ended.stderr
    assert "was made with other --labels" in ended.stderr
    assert "waiting for 3 answers in rounds/001/queries.csv" in ended.stdout


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


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"STRATEGY": "entrpy"}, "STRATEGY=entrpy: unknown to this script"),
        ({"BACKBONE": "lite0"}, "BACKBONE has no effect without EMBED"),
        ({"EMBED": "e.parquet", "STRATEGY": "bald"}, "STRATEGY=bald needs a network with dropout"),
        ({"EMBED": "e.parquet", "ARCH": "resnet18"}, "ARCH and IMAGE_SIZE have no effect with EMBED"),
    ],
)
def test_settings_that_cannot_work_stop_the_night_before_anything_is_computed(
    nights: Nights, settings: dict[str, str], said: str
) -> None:
    ended = nights(**settings)
    assert (ended.code, said in ended.stderr, ended.stdout) == (2, True, ""), ended.stderr
    assert not Path("rounds").exists()
    assert not Path("e.parquet").exists()


@pytest.mark.parametrize("label", ["", "dark"], ids=["trained", "one class"])
def test_when_all_images_are_labelled_every_night_says_so_and_ends_well(nights: Nights, label: str) -> None:
    nights(COUNT=32)
    nights.answer(0, lambda table: as_csv(table.assign(label=label or table["label"])))
    for _ in range(2):
        ended = nights("--quiet", COUNT=32)
        assert ended.code == 0, ended.stderr
        assert ("round 1: 32 labels, test accuracy " in ended.stdout) == (not label)
        assert ended.stdout.endswith("nothing is left to ask about: all images are labelled or excluded\n")
        assert not Path("rounds/001/queries.csv").exists()


def test_an_empty_image_root_is_not_taken_for_one_that_is_labelled(nights: Nights) -> None:
    shutil.rmtree("images")
    Path("images").mkdir()
    ended = nights(TEST="")
    assert (ended.code, "nothing is left" in ended.stdout) == (3, False)


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


def test_a_deleted_image_may_be_skipped_and_a_warning_is_said_once_a_night(nights: Nights) -> None:
    nights()
    (*others, gone) = nights.answer(0, as_csv)
    Path("images", gone).unlink()

    def edited(table: pd.DataFrame) -> str:
        return as_csv(table.assign(label=(" " + table["label"]).where(table["image"] != gone, "__skip__")))

    nights.answer(0, edited)
    ended = nights("--quiet")
    assert ended.code == 0, ended.stderr
    assert ended.stderr.count("whitespace around 2 answers") == 1
    assert {image: labels_of(1)[image] for image in others} == {image: nights.oracle[image] for image in others}


@pytest.mark.parametrize("answered", [3, 2], ids=["answered", "left blank"])
def test_a_deleted_image_is_left_out_whether_it_was_answered_or_not(nights: Nights, answered: int) -> None:
    nights()
    *others, gone = pd.read_csv("rounds/000/queries.csv")["image"]
    nights.answer(0, as_csv, rows=answered)
    Path("images", gone).unlink()
    ended = nights("--quiet")
    assert (ended.code, "waiting for 3 answers in rounds/001/queries.csv" in ended.stdout) == (0, True), ended.stderr
    assert [line for line in ended.stderr.splitlines() if gone in line] == [
        f"warning: 1 of 3 images in rounds/000/queries.csv is not under images; the first: {gone} (line 4); "
        "its row is left out"
    ]
    assert labels_of(1) == {image: nights.oracle[image] for image in others}


def test_if_all_images_of_a_later_list_are_deleted_another_list_is_made(nights: Nights) -> None:
    nights()
    nights.answer(0, as_csv)
    nights()
    gone = nights.answer(1, as_csv)
    for image in gone:
        Path("images", image).unlink()
    ended = nights("--quiet")
    assert (ended.code, "waiting for 3 answers in rounds/002/queries.csv" in ended.stdout) == (0, True), ended.stderr
    assert labels_of(2) == labels_of(1)
    assert not set(gone) & set(pd.read_csv("rounds/002/queries.csv")["image"])


def test_a_folder_of_images_that_is_not_there_for_a_night_loses_no_answers(nights: Nights) -> None:
    nights()
    nights.answer(0, as_csv)
    shutil.move("images", "elsewhere")
    write(Path("images/other.png"))
    ended = nights("--quiet")
    assert (ended.code, "is not under images" in ended.stderr) == (3, True)
    shutil.rmtree("images")
    shutil.move("elsewhere", "images")
    assert nights("--quiet").code == 0
    assert len(labels_of(1)) == 3


def test_with_named_classes_a_typing_error_in_the_first_list_stops_the_night(nights: Nights) -> None:
    nights()
    nights.answer(0, lambda table: as_csv(table.assign(label=["dark", "lihgt", "light"])))
    ended = nights(CLASSES="dark,light")
    assert (ended.code, "'lihgt'" in ended.stderr) == (3, True), ended.stderr
    nights.answer(0, as_csv)
    assert nights(CLASSES="dark,light").code == 0


def test_keys_of_classes_stay_from_night_to_night_on_the_preview_and_the_labelling_page(nights: Nights) -> None:
    first = nights(CLASSES="light,dark")
    assert "--keys rounds/keys.csv --class-names light,dark\n" in first.stdout
    assert listed(Page(Path("rounds/000/preview.html")))["classes"] == [["light", "1"], ["dark", "2"]]
    ClassKeys(Path("rounds/keys.csv")).add(["a further one"])  # as a person on the labelling page
    nights.answer(0, as_csv)
    assert nights().code == 0
    keys = [["light", "1"], ["dark", "2"], ["a further one", "3"]]
    assert listed(Page(Path("rounds/001/preview.html")))["classes"] == keys


def test_every_night_reports_the_accuracy_and_its_change(nights: Nights) -> None:
    assert nights("--quiet").stdout.splitlines()[-1].startswith("waiting for 3 answers in rounds/000")
    nights.answer(0, as_csv)
    measured = r"test accuracy \d+\.\d % \(\d+ to \d+, 8 images\)"
    confused = r"(; confused most: (dark|light) taken for (dark|light) \(\d+\))?"
    said = nights("--quiet").stdout
    assert re.search(rf"^round 1: 3 labels, {measured}{confused}$", said, re.MULTILINE), said
    nights.answer(1, as_csv)
    said = nights("--quiet").stdout
    line = rf"^round 2: 6 labels, {measured}, [+-]\d+\.\d points since round 1{confused}$"
    assert re.search(line, said, re.MULTILINE), said
    again = nights("--quiet").stdout
    assert re.search(line, again, re.MULTILINE), "also on a night without training"


def test_the_report_names_classes_that_have_lost_their_images_and_counts_one_label_as_one(nights: Nights) -> None:
    nights()
    nights.answer(0, as_csv)
    nights()
    report = json.loads(Path("rounds/001/train.json").read_text())
    before = report | {"classes": [*report["classes"], "grey"]}
    Path("rounds/000/train.json").write_text(json.dumps(before))
    Path("rounds/001/train.json").write_text(json.dumps(report | {"counts": {"labelled": 1}}))
    said = nights("--quiet").stdout.splitlines()[0]
    assert said.startswith("round 1: 1 label, test accuracy ")
    assert said.endswith("; without images since round 0: grey")


def test_other_options_come_from_a_file_and_without_a_test_set_the_validation_accuracy_is_reported(
    nights: Nights,
) -> None:
    shutil.copy("test.csv", "validation.csv")
    write(Path("dfal.yaml"), "train:", "  validation: validation.csv", "  restarts: 2", "merge:", "  on-conflict: keep")
    settings = {"CONFIG": "dfal.yaml", "TEST": "", "RESTARTS": ""}
    nights(**settings)
    nights.answer(0, as_csv)
    ended = nights(**settings)
    assert "round 1: 3 labels, validation accuracy " in ended.stdout, ended.stderr
    assert '"restart": 2' in Path("rounds/001/train.json").read_text()


def test_with_an_oracle_all_rounds_are_played_and_the_gain_is_reported(nights: Nights) -> None:
    settings = {"ORACLE": "oracle.csv", "LAST": 2, "STRATEGY": "ceal"}
    for _ in range(2):
        ended = nights("--quiet", **settings)
        assert ended.code == 0, ended.stderr
        before, after = ended.stdout.splitlines()[-2:]
        assert before.startswith("before: round 1: 3 labels, test accuracy ")
        assert after.startswith("after:  round 2: 6 labels, test accuracy ")
        assert after.endswith(" (the last round: LAST=2)")
    assert len(labels_of(2)) == 6
