"""A labels file is written back as its owner's program writes it: encoding, mark, separator, line ends."""

import codecs
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfal_cli.tables import Dialect, csv_bytes, dialect_of, read_csv, write_csv
from tests.conftest import dfal, write

ENCODINGS = [
    (b"", "utf-8"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
]
dialects = st.builds(
    lambda marked, separator, told, line_end, ends: Dialect(
        *marked, separator, f"sep={separator}" if told else "", line_end, ends
    ),
    st.sampled_from(ENCODINGS),
    st.sampled_from(",;\t"),
    st.booleans(),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)
cells = st.text(st.sampled_from("aé犬 ,;\t\"'\r\n=-|"), max_size=5)
tables = st.lists(st.tuples(cells.map(lambda text: f"{text}.png"), cells, cells), min_size=1, max_size=4).map(
    lambda rows: pd.DataFrame(rows, columns=["image", "label", "note"], dtype=str)
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(table=tables, dialect=dialects)
def test_a_table_survives_a_round_trip_in_every_dialect(
    tmp_path_factory: pytest.TempPathFactory, table: pd.DataFrame, dialect: Dialect
) -> None:
    file = tmp_path_factory.mktemp("dialects") / "t.csv"
    write_csv(file, table, dialect=dialect)
    read = read_csv(file, ["image"])
    assert read.values.tolist() == table.values.tolist()
    assert dialect_of(file) == dialect
    assert csv_bytes(read, dialect) == file.read_bytes()


def merged(labels: bytes, answer: str, *arguments: object) -> bytes:
    Path("labels.csv").write_bytes(labels)
    write(Path("q.csv"), "image,label", answer)
    ended = dfal("merge", "--queries", "q.csv", "--labels", "labels.csv", *arguments)
    assert ended.code == 0, ended.stderr
    return Path(arguments[1] if arguments else "labels.csv").read_bytes()


@pytest.mark.parametrize(("mark", "encoding"), ENCODINGS)
def test_merge_keeps_byte_order_mark_separator_and_line_ends(in_tmp: Path, mark: bytes, encoding: str) -> None:
    before = mark + "image;label;note;twin\r\nMöwe.png;Möwe;x, y;\r\nb.png;;;\r\n".encode(encoding)
    after = mark + "image;label;note;twin\r\nMöwe.png;Möwe;x, y;\r\nb.png;Möwe;;\r\n".encode(encoding)
    assert merged(before, "b.png,Möwe") == after
    assert merged(before, "b.png,Möwe", "--out", "new.csv") == after
    assert merged(after, "b.png,Möwe") == after


def test_merge_keeps_a_separator_line_and_a_missing_final_newline(in_tmp: Path) -> None:
    before = b"sep=;\nimage;label;twin\na.png;cat;"
    assert merged(before, "b.png,cat") == before + b"\nb.png;cat;"


def test_a_merge_without_new_answers_changes_no_byte_in_any_dialect(in_tmp: Path) -> None:
    before = b'\xef\xbb\xbf"image";"label"\r\n\r\n"a.png";"cat"\r'
    assert merged(before, "a.png,cat") == before


def test_a_new_labels_file_is_in_dfals_dialect_whatever_that_of_the_list(in_tmp: Path) -> None:
    Path("q.csv").write_bytes(b"\xef\xbb\xbfimage;label\r\na.png;cat\r\n")
    assert dfal("merge", "--queries", "q.csv", "--labels", "labels.csv").code == 0
    assert Path("labels.csv").read_bytes() == b"image,label,twin\na.png,cat,\n"
