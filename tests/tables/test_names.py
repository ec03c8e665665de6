"""Images are known by their names on disk: what tables call them is matched, or told with a likely cause."""

from pathlib import Path
from unicodedata import normalize

import pandas as pd
import pytest

from dfal_cli.errors import DataError
from dfal_cli.tables import ImageNames, read_excluded, read_labels_files
from tests.conftest import write

NFC, NFD = (normalize(form, "é/ü.png") for form in ("NFC", "NFD"))
THERE = ["0001.png", "0002.png", "birds/robin 1.jpg", "birds/wren.JPG", NFD]


def names(there: list[str] = THERE) -> ImageNames:
    return ImageNames(Path("photos"), set(there).__contains__, lambda: there)


def unexpected() -> list[str]:
    raise AssertionError("the images were listed though every name was found")


@pytest.mark.parametrize(("written", "there"), [(NFC, NFD), (NFD, NFC)])
def test_a_name_equal_in_nfc_matches_the_name_on_disk(written: str, there: str) -> None:
    assert names([there]).on_disk(written) == there


def test_two_images_that_differ_only_in_normal_form_stay_distinct() -> None:
    both = names([NFC, NFD])
    assert (both.on_disk(NFC), both.on_disk(NFD)) == (NFC, NFD)


@pytest.mark.parametrize("written", ["0001.PNG", "0001.png ", " 0001.png", "0001", "a.png"])
def test_other_spelling_differences_do_not_match(written: str) -> None:
    assert names().on_disk(written) == written


def test_the_folder_is_not_listed_if_every_name_is_found() -> None:
    found = ImageNames(Path("photos"), set(THERE).__contains__, unexpected)
    images = pd.Series(["0001.png", NFD])
    assert found.matched(pytest.fail)(Path("t.csv"), images).tolist() == ["0001.png", NFD]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("photos/0001.png", "0001.png"),
        ("data/photos/birds/wren.JPG", "birds/wren.JPG"),
        ("0001", "0001.png"),
        ("0001.jpeg", "0001.png"),
        ("0001.png ", "0001.png"),
        ("0001.PNG", "0001.png"),
        ("BIRDS/Wren.jpg", "birds/wren.JPG"),
        ("birds\\wren.jpg", "birds/wren.JPG"),
        ("C:\\data\\0002.png", "0002.png"),
        ("\\\\server\\share\\0002.png", "0002.png"),
        ("http:/localhost:8080/0001.png", "0001.png"),
        ("https:/a.b/c/birds/robin%201.jpg?X-Amz-Signature=ab%2Fc", "birds/robin 1.jpg"),
        ("wren.jpg", "birds/wren.JPG"),
    ],
)
def test_the_message_names_the_similar_image_that_exists(written: str, meant: str) -> None:
    assert names().counterpart([written]) == (written, meant)
    assert names().hint(written).startswith(", but ")


@pytest.mark.parametrize("written", ["0003.png", "cats/wren.jpg", "birds.jpg"])
def test_an_unrelated_image_is_not_suggested(written: str) -> None:
    assert names().counterpart([written]) is None
    assert names().hint(written) == ""


def test_missing_images_are_counted_in_a_warning(tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", "image,label", "0001.png,x", "gone.png,x", "photos/0002.png,x", "deleted.png,")
    warnings: list[str] = []
    table = read_labels_files([file], names().matched(warnings.append))
    assert table["image"].tolist() == ["0001.png", "gone.png", "photos/0002.png"]
    assert warnings == [
        f"2 of 3 images in {file} are not under photos; one of them: photos/0002.png, but 0002.png exists (line 4)"
    ]


def test_deleted_images_are_noted_but_misspelt_ones_warned_of(tmp_path: Path) -> None:
    warnings: list[str] = []
    notes: list[str] = []
    deleted = write(tmp_path / "d.csv", "image,label", "0001.png,x", "gone.png,x")
    misspelt = write(tmp_path / "m.csv", "image,label", "0001.png,x", "photos/0002.png,x")
    read_labels_files([deleted, misspelt], names().matched(warnings.append, notes.append))
    assert ["d.csv" in note for note in notes] == ["m.csv" in warning for warning in warnings] == [True]


def test_images_marked_as_unusable_may_be_missing(tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", "image,label", "gone.png,__skip__")
    matched = names().matched(pytest.fail)
    assert read_labels_files([file], matched)["image"].tolist() == ["gone.png"]
    assert read_excluded([file], matched).images == {"gone.png"}


def test_a_table_whose_images_are_all_missing_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", "image", "photos/0001.png", "photos/0002.png")
    with pytest.raises(DataError) as raised:
        read_excluded([file], names().matched(pytest.fail))
    assert str(raised.value).startswith(
        f"2 of 2 images in {file} are not under photos; the first: photos/0001.png, but 0001.png exists (line 2)"
    )


@pytest.mark.parametrize(
    ("written", "there", "advice"),
    [
        (["p/0.png", "p/q/1.png"], ["0.png", "q/1.png"], "'p/' is removed from the names in t.csv"),
        (["0.png", "q/1.png"], ["a/p/0.png", "a/p/q/1.png"], "'a/p/' is removed from the names in e.parquet"),
        (["q\\1.png"], ["q/1.png"], "backslashes in the names in t.csv become slashes"),
        (["q/1.png", "q/0.png"], ["q\\1.png", "q\\0.png"], "backslashes in the names in e.parquet become slashes"),
        (["C:\\p\\1.png", "gone.png"], ["1.png"], "'C:\\p\\' is removed from the names in t.csv"),
        (
            ["p\\q\\1.png"], ["q/1.png"],
            "'p\\' is removed from the names in t.csv and backslashes in the names in t.csv become slashes",
        ),
        (["p/0.png", "q/1.png"], ["0.png", "1.png"], ""),
        (["0.PNG"], ["0.png"], ""),
        (["sp/0.png"], ["p/0.png"], ""),
        (["gone.png"], ["0.png"], ""),
    ],
)  # fmt: skip
def test_one_way_in_which_all_names_differ_is_told(written: list[str], there: list[str], advice: str) -> None:
    found = ImageNames(Path("e.parquet"), set(there).__contains__, lambda: there, "in")
    who = "1 of 2 match" if "gone.png" in written else "they match"
    assert found.advice(written, "t.csv") == (f"{who} if {advice}" if advice else "")


@pytest.mark.parametrize("rows", [(), ("gone.png,", "lost.png, ")])
def test_a_table_without_labels_names_nothing(tmp_path: Path, rows: tuple[str, ...]) -> None:
    file = write(tmp_path / "t.csv", "image,label", *rows)
    assert read_labels_files([file], names().matched(pytest.fail)).empty


def test_each_table_is_checked_separately(tmp_path: Path) -> None:
    good = write(tmp_path / "a.csv", "image,label", "0001.png,x")
    wrong = write(tmp_path / "b.csv", "image,label", "elsewhere.png,x")
    with pytest.raises(DataError, match=r"1 of 1 images in .*b\.csv"):
        read_labels_files([good, wrong], names().matched(pytest.fail))


def test_spellings_of_one_image_must_agree(tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", "image,label", f"{NFC},x", f"{NFD},x")
    assert read_labels_files([file], names().renamed)["image"].tolist() == [NFD]
    write(file, "image,label", f"{NFC},x", f"{NFD},y")
    with pytest.raises(DataError, match=r"'x' in .*t.csv, line 2; 'y' in .*t.csv, line 3: the labels files must agree"):
        read_labels_files([file], names().renamed)
