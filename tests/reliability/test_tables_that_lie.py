"""Tables that lie: each is read for what it says, or refused with exit 3 and a line or two that name the place."""

import os
from pathlib import Path

import pytest

from dfal_cli.errors import DataError
from dfal_cli.system.reporting import Silent
from dfal_cli.tables import ImageNames, read_csv, read_labels, read_labels_files
from dfal_cli.training.label_sets import read_label_sets
from tests.conftest import Ended, dfal, draw_folder, write

ALL_THERE = ImageNames(Path("images"), lambda image: True, tuple)
MILLION = "x" * 1_000_000

READ: dict[str, tuple[bytes, list[list[str]]]] = {
    "tabs": (b"image\tlabel\na.png\tx\n", [["a.png", "x"]]),
    "told tab": (b"\xef\xbb\xbfsep=\t\r\nimage\tlabel\r\na.png\tx\r\n", [["a.png", "x"]]),
    "mixed line ends": (b"image,label\r\na,x\nb,y\rc,z\n", [["a", "x"], ["b", "y"], ["c", "z"]]),
    "a quote inside": (b'image,label\na"b.png,x"y\n', [['a"b.png', 'x"y']]),
    "words that mean nothing": (
        b"image,label\na,NA\nb,null\nc,007\nd,1e5\ne,True\nf,None\ng,nan\nh,-\n",
        [*map(list, zip("abcdefgh", ("NA", "null", "007", "1e5", "True", "None", "nan", "-"), strict=True))],
    ),
    "a million characters": (f"image,label\na.png,{MILLION}\n".encode(), [["a.png", MILLION]]),
    "whitespace of its own": ("image,label\na,\u00a0x\u00a0\n".encode(), [["a", "\u00a0x\u00a0"]]),
    "controls and emoji": ("image,label\na,\x1b[31m🐈\x07\n".encode(), [["a", "\x1b[31m🐈\x07"]]),
    "one image by many paths": (b"image,label\n././x//y/./z.png,x\n", [["x/y/z.png", "x"]]),
    "Windows' paths are names": (b"image,label\nC:\\a\\b.png,x\n", [["C:\\a\\b.png", "x"]]),
    "only a header": (b"image,label", []),
}


@pytest.mark.parametrize(("content", "rows"), READ.values(), ids=READ)
def test_what_can_be_told_is_read_verbatim(tmp_path: Path, content: bytes, rows: list[list[str]]) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    assert read_csv(tmp_path / "a.csv", ("image", "label")).values.tolist() == rows


REFUSED: dict[str, tuple[bytes, str]] = {
    "Latin-1": (b"image,label\na.png,x\nb.png,caf\xe9\n", "a.csv, line 3: not UTF-8 text (byte 0xe9)"),
    "Latin-1 and lone CR": (b"image,label\ra.png,x\rb.png,caf\xe9\r", "line 3: not UTF-8"),
    "cut UTF-16": ("image,label\na,x\n".encode("utf-16")[:-1], "line 2: not UTF-16"),
    "NUL": (b"image,label\na.png,x\0y\n", "line 2: holds a NUL"),
    "a tail of NUL": (b"image,label\na.png,x\n" + bytes(4096), "line 3: holds a NUL"),
    "workbook": (b"PK\x03\x04\x14", "a workbook"),
    "Parquet": (b"PAR1\x15", "Parquet, not CSV"),
    "a quote never closed": (b'image,label\na.png,x\nb.png,"y\nc.png,z\n', "line 3: opens a quote"),
    "a quote closed by the next": (b'image,label\n"a.png,x\nb.png,"y"\n', "line 2: has text after a closing quote"),
    "too many cells": (b"image,label\na.png,x\nb.png,y,z\n", "line 3: 3 cells, but the header has 2 columns"),
    "too many after a million": (
        f"image,label\na,{MILLION}\nb,y,z\n".encode(),
        "line 3: 3 cells, but the header has 2",
    ),
    "outside after a million": (f"image,label\na,{MILLION}\n../b,y\n".encode(), "line 3: image '../b': leaves"),
    "a million outside": (f"image,label\n../{MILLION},y\n".encode(), "line 2: image '../xxx"),
    "header in capitals": (
        b"Image,label\na,x\n",
        "it has Image, label. Rename 'Image' to image",
    ),
    "header with whitespace": (b"image, label \na,x\n", "Rename ' label ' to label"),
    "header of another case, semicolons": (b" Image ;LABEL\na;x\n", "Rename ' Image ' to image, 'LABEL' to label"),
    "no header": (
        b"a.png,x\nb.png,y\n",
        "no column image and label; it has a.png, x. The first line",
    ),
    "header of controls": (b"\x1b[31mimage,label\na,x\n", "it has '\\x1b[31mimage', label"),
    "header of lines": (b'"im\nage","l\nabel"\na,x\n', "it has 'im\\nage', 'l\\nabel'"),
    "header twice": (b"image,label,label\na,x,y\n", "column label appears more than once"),
    "no name twice": (b"image,label,,\na,x,,\n", "several columns have no name"),
    "only a mark": (b"\xef\xbb\xbf", "empty"),
    "web page": (b"<!DOCTYPE html>\n<p>image, label</p>", "line 1: no column image and label"),
    "absolute": (b"image,label\n/a.png,x\n", "line 2: image '/a.png': an absolute path"),
    "out of the root": (b"image,label\na/../../b,x\n", "line 2: image 'a/../../b': leaves the image root"),
    "twice, otherwise": (b"image,label\na,x\nb,y\na,z\n", "line 4: image 'a' is already on line 2 ('x', now 'z')"),
    "twice, the same": (b"image,label\na,x\n\na,x\n", "line 4: image 'a' is already on line 2 ('x', now 'x')"),
    "twice by two paths": (b"image,label\nd/a,x\nd//./a,x\n", "line 3: image 'd/a' is already on line 2"),
    "only commas": (b"," * 20_000 + b"\n" + b"," * 20_000, "empty"),
    "columns without end": (b"image,label," + b",".join(b"%d" % k for k in range(20_000)), "20,002 columns"),
    "a line without end": (b"image,label\n" + b"," * 10_000_001, "a line is longer than 10,000,000 bytes"),
    "short rows of a wide table": (
        b"image," + b",".join(b"%d" % k for k in range(9_999)) + b",label\n" + b"a\n" * 9_999,
        "1 cells, but the header has 10001 columns",
    ),
}


@pytest.mark.parametrize(("content", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_told_is_refused_on_one_line_with_its_place(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(content)
    with pytest.raises(DataError) as raised:
        read_labels(file)
    message = str(raised.value)
    assert said in message
    assert message.startswith(str(file))
    assert message.isprintable()
    assert len(message) < 500


def test_labels_files_that_disagree_are_refused_with_file_and_line_of_each(tmp_path: Path) -> None:
    files = [write(tmp_path / "a.csv", "image,label", "b,x", "a,x"), write(tmp_path / "b.csv", "image,label", "a,y")]
    with pytest.raises(DataError, match=r"image 'a': 'x' in .*a\.csv, line 3; 'y' in .*b\.csv, line 2"):
        read_labels_files(files)


def test_a_pipe_is_no_table_and_is_not_waited_for(in_tmp: Path) -> None:
    os.mkfifo("labels.csv")
    write(in_tmp / "q.csv", "image,label", "a.png,x")
    ended = dfal("merge", "--queries", "q.csv", "--labels", "labels.csv", "--dry-run")
    assert_refused(ended, 2, "labels.csv: not a regular file")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (("cat", "Cat"), "'Cat' differs from 'cat' only in upper and lower case"),
        (("cat", "cat "), "only in whitespace"),
        (("big cat", "big\u00a0cat"), "only in whitespace"),
        (("caf\u00e9", "cafe\u0301"), "only in how its letters are encoded"),
        (("cat", "_skip_"), "did you mean '__skip__'?"),
        (("1", "01"), "'01' differs from '1' only in how the number is written"),
        (("1", "1,0"), "only in how the number is written"),
        (("cat", " dog"), "' dog' has leading or trailing whitespace"),
        (("cat", "?"), "'?' usually means that there is no answer"),
        (("cat", "__SKIP__"), "did you mean '__skip__'?"),
    ],
)
def test_classes_that_look_like_slips_are_warned_of_once_before_training(
    tmp_path: Path, labels: tuple[str, str], said: str
) -> None:
    reporter = Silent()
    file = write(tmp_path / "l.csv", "image,label", *(f'{k}.png,"{label}"' for k, label in enumerate(labels)))
    assert read_label_sets([file], [], [], [], None, reporter, ALL_THERE).classes == tuple(sorted(labels))
    assert len(reporter.warnings) == 1
    assert said in reporter.warnings[0]


def test_classes_that_somebody_has_named_are_not_warned_of(tmp_path: Path) -> None:
    reporter = Silent()
    file = write(tmp_path / "l.csv", "image,label", "a,cat", "b,Cat", "c,none")
    read_label_sets([file], [], [], [], ("cat", "Cat", "none"), reporter, ALL_THERE)
    assert reporter.warnings == []


def test_classes_that_merely_resemble_each_other_are_not_warned_of(tmp_path: Path) -> None:
    reporter = Silent()
    file = write(tmp_path / "l.csv", "image,label", "a,cat", "b,car", "c,1", "d,10", "e,sky")
    read_label_sets([file], [], [], [], None, reporter, ALL_THERE)
    assert reporter.warnings == []


BAD = {"latin.csv": b"image,label,pseudo_label\na,x,caf\xe9\n", "open.csv": b'image,label,pseudo_label\na,"x,y\n'}
EVERY_TABLE = {
    "train --labels": ("train", "--images", "images", "--out", "m.safetensors", "--labels"),
    "train --validation": ("train", "--images", "images", "--out", "m.safetensors", "--labels", "oracle.csv",
                           "--validation"),
    "train --test": ("train", "--images", "images", "--out", "m.safetensors", "--labels", "oracle.csv", "--test"),
    "train --pseudo-labels": ("train", "--images", "images", "--out", "m.safetensors", "--labels", "oracle.csv",
                              "--pseudo-labels"),
    "select --labels": ("select", "--images", "images", "--strategy", "random", "--count", 1, "--out", "o.csv",
                        "--labels"),
    "select --exclude": ("select", "--images", "images", "--strategy", "random", "--count", 1, "--out", "o.csv",
                         "--exclude"),
    "merge --queries": ("merge", "--labels", "oracle.csv", "--queries"),
    "merge --labels": ("merge", "--queries", "oracle.csv", "--labels"),
    "simulate --labels": ("simulate", "--images", "images", "--out", "s", "--test", "oracle.csv", "--labels"),
    "simulate --test": ("simulate", "--images", "images", "--out", "s", "--labels", "oracle.csv", "--test"),
}  # fmt: skip


@pytest.mark.parametrize("file", BAD)
@pytest.mark.parametrize("command", EVERY_TABLE.values(), ids=EVERY_TABLE)
def test_every_command_refuses_a_table_that_lies_and_leaves_all_as_it_was(
    in_tmp: Path, command: tuple[object, ...], file: str
) -> None:
    draw_folder(in_tmp, each=2)
    (in_tmp / file).write_bytes(BAD[file])
    before = everything(in_tmp)
    assert_refused(dfal(*command, file, "--quiet"), 3, f"{file}, line 2")
    assert everything(in_tmp) == before


def assert_refused(ended: Ended, code: int, said: str) -> None:
    """A person can act on what is said, and it is no traceback."""
    assert ended.code == code, ended.stderr
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.splitlines()) <= 2
    assert ended.stdout == ""


def everything(folder: Path) -> dict[str, bytes]:
    """All files but locks."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
