"""The nightly script and images that are deleted, skipped, all labelled, or not there for a night."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import write
from tests.nights import Nights, labels_of
from tests.steps.test_select_again import as_csv
from tests.test_nights import nights

__all__ = ["nights"]


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
