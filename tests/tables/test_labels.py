"""Labels files, one or several, and lists of images to leave out."""

from pathlib import Path

import pytest

from dfal_cli.errors import DataError
from dfal_cli.tables import answered_images, labelled_rows, read_excluded, read_labels, read_labels_files
from tests.conftest import write


def test_a_duplicate_image_is_refused_with_both_lines_and_labels(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", "image,label", '"x\ny.png","l\nm"', "a.png,cat", "", "./a.png,dog")
    with pytest.raises(DataError) as raised:
        read_labels(file)
    assert "a.csv, line 7: image 'a.png' is already on line 5 ('cat', now 'dog')" in str(raised.value)


def test_only_image_and_label_are_needed_and_the_users_columns_stay_in_order(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", "who,label,image,when", "me,x,a.png,today")
    assert list(read_labels(file).columns) == ["who", "label", "image", "when", "twin"]


def test_several_files_are_read_as_one(tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv", "image,label", "a.png,x", "b.png,", "c.png,  ")
    second = write(tmp_path / "b.csv", "label,image", "y,b.png", "__skip__,d.png")
    together = read_labels_files([first, second])
    assert dict(zip(together["image"], together["label"], strict=True)) == {
        "a.png": "x",
        "b.png": "y",
        "d.png": "__skip__",
    }


def test_equal_labels_agree_and_the_row_with_a_twin_wins(tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv", "image,label", "a.png,x")
    second = write(tmp_path / "folder" / "b.csv", "image,label,twin", "a.png,x,twins/a.npy")
    for files in ([first, second], [second, first]):
        together = read_labels_files(files)
        assert together["image"].tolist() == ["a.png"]
        assert together["twin"].tolist() == [str(tmp_path / "folder" / "twins" / "a.npy")]


@pytest.mark.parametrize("other", ["y", "X", "x ", "__skip__"])
def test_files_that_contradict_each_other_are_refused_with_both_labels_and_files(tmp_path: Path, other: str) -> None:
    first = write(tmp_path / "a.csv", "image,label", "a.png,x")
    second = write(tmp_path / "b.csv", "image,label", f"a.png,{other}")
    with pytest.raises(DataError) as raised:
        read_labels_files([first, second])
    for part in ("a.png", "'x' in", "a.csv", f"{other!r} in", "b.csv"):
        assert part in str(raised.value)


def test_twin_paths_are_relative_to_the_folder_of_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "sub" / "a.csv", "image,label,twin", "a.png,x,../t/a.npy", "b.png,y,")
    monkeypatch.chdir(tmp_path)
    twins = read_labels_files([Path("sub/a.csv")])["twin"].tolist()
    assert [Path(twins[0]).resolve(), twins[1]] == [(tmp_path / "t" / "a.npy").resolve(), ""]


def test_no_files_are_no_labels() -> None:
    assert answered_images(read_labels_files([])) == set()


def test_a_blank_label_leaves_an_image_in_the_pool_and_skip_takes_it_out_untrained(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", "image,label", "a.png,x", "b.png,", "c.png,  ", "d.png,__skip__", "e.png,NA")
    table = read_labels_files([file])
    assert answered_images(table) == {"a.png", "d.png", "e.png"}
    assert labelled_rows(table)["image"].tolist() == ["a.png", "e.png"]


def test_any_csv_with_an_image_column_excludes_images(tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv", "image", "a.png", "./-b.png")
    second = write(tmp_path / "b.csv", "rank;image;x", "1;c.png;2", "2;c.png;3")
    assert read_excluded([first, second]).images == {"a.png", "-b.png", "c.png"}


@pytest.mark.parametrize("columns", ["rank,image,label", "image,label"])
def test_images_of_a_query_list_are_asked_about_and_those_of_a_test_set_are_not(tmp_path: Path, columns: str) -> None:
    first, second = ("1,a.png,x", "2,b.png,") if "rank" in columns else ("a.png,x", "b.png,")
    files = [
        write(tmp_path / "queries.csv", columns, first, second),
        write(tmp_path / "test.csv", "image,label", "c.png,x", "d.png,y"),
        write(tmp_path / "names.csv", "image", "e.png"),
    ]
    excluded = read_excluded(files)
    assert excluded.images == {"a.png", "b.png", "c.png", "d.png", "e.png"}
    assert excluded.asked == {"a.png", "b.png"}


def test_an_exclude_file_must_have_an_image_column(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column image"):
        read_excluded([write(tmp_path / "a.csv", "file", "a.png")])
