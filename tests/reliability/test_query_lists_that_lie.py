"""Query lists that have been through spreadsheets, other rounds and other pools: no label is lost by any of them."""

from pathlib import Path

import pytest

from tests.conftest import Ended, dfal, write
from tests.reliability.test_tables_that_lie import assert_refused, everything

LABELS = 'who,image,label,"a,b"\nme,b.png,dog,\n,a.png,,"x\ny"\nyou,c.png,cat,=1\n'
MERGED = 'who,image,label,"a,b",twin\nme,b.png,dog,,\n,a.png,cat,"x\ny",\nyou,c.png,cat,=1,\n'


@pytest.fixture
def house(in_tmp: Path) -> Path:
    """labels.csv with the user's own columns, two labels in it and one to come."""
    (in_tmp / "labels.csv").write_bytes(LABELS.encode())
    write(in_tmp / "images" / "a.png", "")
    write(in_tmp / "images" / "b.png", "")
    return in_tmp


def merge(content: str | bytes, *arguments: object) -> Ended:
    Path("q.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    return dfal("merge", "--queries", "q.csv", "--labels", "labels.csv", *arguments)


RESAVED: dict[str, str | bytes] = {
    "sorted": "rank,image,label,margin,twin\n2,b.png,dog,0.2,\n1,a.png,cat,0.1,\n",
    "filtered": "rank,image,label,margin,twin\n1,a.png,cat,0.1,\n",
    "all quoted": '"rank","image","label","margin"\n"1","a.png","cat","0.1"\n',
    "decimal commas": "rank;image;label;margin;twin\r\n1;a.png;cat;0,123;\r\n",
    "rewritten numbers": "rank,image,label,margin\n1.00E+00,a.png,cat,1E-05\n",
    "fewer columns": "image,label\na.png,cat\n",
    "more columns": "image,label,who,checked\na.png,cat,somebody else,TRUE\n",
    "other order": "twin,margin,label,image,rank\n,0.1,cat,a.png,1\n",
    "mark and CRLF": "\ufeffrank,image,label\r\n1,a.png,cat\r\n",
    "Unicode text": "rank\timage\tlabel\r\n1\ta.png\tcat\r\n".encode("utf-16"),
    "told separator": "sep=;\r\nimage;label\r\na.png;cat\r\n",
    "blank rows left": "image,label\na.png,cat\n,\n,\n",
    "of an older round": "image,label\nb.png,dog\nc.png,cat\na.png,cat\n",
    "unanswered left": "image,label\na.png,cat\nz.png,\nb.png,  \n",
    "./ in front": "image,label\n./a.png,cat\n",
    "no-break space": "image,label\na.png,cat\u00a0\n",
}


@pytest.mark.parametrize("content", RESAVED.values(), ids=RESAVED)
def test_a_resaved_list_is_merged_as_the_one_that_was_written(house: Path, content: str | bytes) -> None:
    assert merge(content).code == 0
    assert (house / "labels.csv").read_bytes() == MERGED.encode()


REFUSED: dict[str, tuple[str | bytes, tuple[str, ...], str]] = {
    "TRUE for a class": (
        "image,label\na.png,TRUE\n",
        (),
        "line 2: 'TRUE' is a new class; the known classes are cat, dog",
    ),
    "date for a class": ("image,label\na.png,3. Jan\n", (), "line 2: '3. Jan' is a new class"),
    "another case": ("image,label\na.png,CAT\n", (), "'CAT' is a new class that differs from 'cat' only in upper"),
    "line break in a class": ('image,label\na.png,"c\nat"\n', (), "line 2: 'c\\nat' is a new class"),
    "controls in a class": ("image,label\na.png,\x1b[2Jcat\n", (), "line 2: '\\x1b[2Jcat' is a new class"),
    "a million characters": (
        f"image,label\na.png,{'x' * 1_000_000}\n",
        (),
        "is a new class; the known classes are cat, dog",
    ),
    "skip in capitals": ("image,label\na.png,__SKIP__\n", ("--allow-new-classes",), "did you mean '__skip__'"),
    "older round, another label": (
        "image,label\na.png,cat\nb.png,cat\n",
        (),
        "line 3: image 'b.png' is 'dog'",
    ),
    "another pool": (
        "image,label\na.png,cat\nz.png,cat\n",
        ("--images", "images"),
        "line 3: image 'z.png'",
    ),
    "Windows' paths": ("image,label\nd\\a.png,cat\n", ("--images", "images"), "(use / between folders)"),
    "a path without end": (f"image,label\n{'x/' * 9999}a,cat\n", ("--images", "images"), "is not under images"),
    "an image twice": ("image,label\na.png,cat\na.png,dog\n", (), "line 3: image 'a.png' is already on line 2"),
    "a quote in the way": ('image,label\na.png,"cat\nz.png,dog\n', (), "line 2: opens a quote"),
    "cells out of place": ("image,label\na.png,z.png,cat\n", (), "line 2: 3 cells, but the header has 2 columns"),
    "saved as Latin-1": ("image,label\na.png,caf\u00e9\n".encode("latin-1"), (), "line 2: not UTF-8"),
    "cut by a crash": (b"image,label\na.png,cat\n" + bytes(99), (), "line 3: holds a NUL"),
    "of a strategy's guesses": ("image,pseudo_label\na.png,cat\n", (), "predicted by a network, not answers"),
    "renamed columns": ("Rank,Image,Label\n1,a.png,cat\n", (), "Rename 'Image' to image, 'Label' to label"),
}


@pytest.mark.parametrize(("content", "arguments", "said"), REFUSED.values(), ids=REFUSED)
def test_a_refused_list_is_explained_with_its_line_and_changes_no_byte(
    house: Path, content: str | bytes, arguments: tuple[str, ...], said: str
) -> None:
    before = everything(house)
    assert_refused(merge(content, *arguments), 3, said)
    assert everything(house) == before | {"q.csv": Path("q.csv").read_bytes()}


@pytest.mark.parametrize("content", ["image,label\r\na.png,cat\n", b"\xff\xfeimage", 'image,label\n"a.png,cat\n'])
def test_labels_that_cannot_be_read_are_never_written_over(house: Path, content: str | bytes) -> None:
    damaged = (content if isinstance(content, bytes) else content.encode()) + b"\0"
    (house / "labels.csv").write_bytes(damaged)
    for arguments in ((), ("--force",), ("--on-conflict", "replace")):
        assert merge("image,label\na.png,cat\n", *arguments).code == 3
        assert (house / "labels.csv").read_bytes() == damaged


@pytest.mark.parametrize("label", ["=1+1", "'=1", "''=1", "'", "'x", "-", "+1", "@x", 'a"b', "a\nb", "NA", "🐈"])
def test_a_label_goes_through_two_merges_and_back_verbatim_with_the_users_columns(house: Path, label: str) -> None:
    from dfal_cli.tables import read_labels, write_rows

    write_rows(Path("new.csv"), ("image", "label"), [("=a.png", label), ("-d/a.png", label)])
    for _ in range(2):
        assert merge(Path("new.csv").read_bytes(), "--class-names", label).code == 0
        assert merge("image,label\na.png,cat\n").code == 0
    merged = read_labels(house / "labels.csv").set_index("image")
    assert merged["label"].to_dict() == {
        "b.png": "dog", "a.png": "cat", "c.png": "cat", "=a.png": label, "-d/a.png": label,
    }  # fmt: skip
    assert merged.loc[["b.png", "a.png", "c.png"], ["who", "a,b"]].values.tolist() == [
        ["me", ""], ["", "x\ny"], ["you", "=1"],
    ]  # fmt: skip


def test_a_first_list_of_as_many_classes_as_rows_is_merged_with_few_warnings(in_tmp: Path) -> None:
    rows = [f"{number}.png,a caption of picture {number}{' ' * (number % 2)}" for number in range(20_000)]
    same = [f"z{number}.png,caption{' ' * number}" for number in range(300)]
    ended = merge("\n".join(["image,label", *rows, *same]), "--json")
    assert (ended.code, ended.json["counts"]["merged"]) == (0, 20_300)
    assert 0 < len(ended.json["warnings"]) <= 10
