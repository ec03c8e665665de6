"""CSV files: what is written comes back, what people's spreadsheets write is read, what is wrong is named."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfal_cli.errors import DataError, UsageError
from dfal_cli.tables import read_csv, read_labels, to_csv, write_csv, write_labels

LABELS = (
    '"', "a,b", "a\nb", "a\r\nb", "a\rb", "\r", "\n", "=1+1", "+x", "-x", "@x", "'", "'x", "'=x", "''=x", "NA", "null",
    "nan", "None", "007", "1.0", "1e5", "True", "no", " x ", "x ", " ", "\t", "café", "犬", "🐈", "\ufeff", "\u2028",
    ";", "a;b;c;d", "#x", "\\", "x\\", "__skip__", "<b>", "./x", "../x",
)  # fmt: skip
PATHS = (
    "a.png", "=a.png", "+a.png", "-a.png", "@a.png", "'a.png", "'=a.png", "a b.png", "a,b.png", "a\nb.png", 'a"b.png',
    "é/犬.png", "..a/b..png", "NA", " ", "a;b.png", "a/=b.png", "-/x/-.png", ".hidden/a.png",
)  # fmt: skip
USER_COLUMNS = ("note", "NA", "x,y", "=1", "two\nlines", "Label", "naïve", "a;b", " ")

any_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
labels = st.sampled_from(LABELS) | st.builds("".join, st.lists(st.sampled_from("'=+-@ \"\n\r,;x"))) | any_text
paths = st.sampled_from(PATHS) | any_text.filter(
    lambda path: path and not path.startswith(("/", "./")) and ".." not in path.split("/")
)


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    images = draw(st.lists(paths, unique=True, max_size=4))
    columns = draw(st.permutations(["image", "label", "twin", *draw(st.sets(st.sampled_from(USER_COLUMNS)))]))
    cells = {"image": st.just(images), "twin": st.lists(paths | st.just(""), min_size=4, max_size=4)}
    other = st.lists(labels, min_size=4, max_size=4)
    return pd.DataFrame({name: draw(cells.get(name, other))[: len(images)] for name in columns}, dtype=str)


def same(table: pd.DataFrame, other: pd.DataFrame) -> bool:
    return list(table.columns) == list(other.columns) and table.values.tolist() == other.values.tolist()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv") / "labels.csv"


@settings(max_examples=150, deadline=None, derandomize=True)
@given(table=tables())
def test_a_table_with_any_text_survives_a_round_trip(file: Path, table: pd.DataFrame) -> None:
    write_labels(file, table)
    assert same(read_labels(file), table)


@pytest.mark.parametrize("label", LABELS, ids=repr)
def test_a_label_survives_a_round_trip(file: Path, label: str) -> None:
    write_csv(file, pd.DataFrame({"image": ["a.png", "b.png"], "label": [label, "x"]}))
    assert read_csv(file, ("image", "label"))["label"].tolist() == [label, "x"]


@pytest.mark.parametrize("path", PATHS, ids=repr)
def test_a_path_survives_a_round_trip(file: Path, path: str) -> None:
    write_csv(file, pd.DataFrame({"image": [path, "b"], "label": ["x", ""], "twin": [path, ""]}))
    assert read_csv(file, ("image", "label")).values.tolist() == [[path, "x", path], ["b", "", ""]]


@settings(max_examples=50, deadline=None, derandomize=True)
@given(table=tables())
def test_equal_tables_are_equal_bytes_also_after_reading(file: Path, table: pd.DataFrame) -> None:
    write_labels(file, table)
    written = file.read_bytes()
    write_labels(file, read_labels(file))
    assert file.read_bytes() == written


@pytest.mark.parametrize("sign", "=+-@")
def test_a_spreadsheet_gets_no_formula_in_image_label_or_twin(sign: str) -> None:
    table = pd.DataFrame({"image": [f"{sign}a.png"], "label": [f"{sign}1"], "twin": [f"{sign}t.npy"]})
    assert to_csv(table) == f"image,label,twin\n./{sign}a.png,'{sign}1,./{sign}t.npy\n"


def test_nothing_else_is_escaped_and_only_what_must_be_is_quoted(tmp_path: Path) -> None:
    columns = {"image": ["a b.png"], "label": ["it's"], "note": ["=1"], "margin": ["-0.5"], "more": ["x,y"]}
    write_csv(tmp_path / "a.csv", pd.DataFrame(columns))
    expected = b'image,label,note,margin,more\na b.png,it\'s,=1,-0.5,"x,y"\n'
    assert (tmp_path / "a.csv").read_bytes() == expected


@pytest.mark.parametrize(
    "content",
    [
        b'image,label\na.png,x\n"b,c.png","y\nz"\n',
        b'\xef\xbb\xbfimage,label\r\na.png,x\r\n"b,c.png","y\nz"\r\n',
        b'image;label\na.png;x\nb,c.png;"y\nz"\n',
        b'\xef\xbb\xbf"image";"label"\r\n"a.png";"x"\r\n"b,c.png";"y\nz"',
        b'\nimage,label\n\n./a.png,x\n\n"b,c.png","y\nz"\n\n',
        'image\tlabel\r\na.png\tx\r\nb,c.png\t"y\nz"\r\n'.encode("utf-16"),
        b"\xfe\xff" + 'image\tlabel\r\na.png\tx\r\nb,c.png\t"y\nz"\r\n'.encode("utf-16-be"),
        b'sep=;\r\nimage;label\r\na.png;x\r\nb,c.png;"y\nz"\r\n',
        b'\n;\nimage;label\na.png;x\nb,c.png;"y\nz"\n',
        b'image,label\ra.png,x\r"b,c.png","y\nz"\r',
    ],
    ids=[
        "plain",
        "BOM and CRLF",
        "semicolons",
        "all of it, no last newline",
        "blank lines",
        "Unicode text",
        "big-endian Unicode text",
        "told separator",
        "blank row above",
        "lone CR",
    ],
)  # fmt: skip
def test_files_written_by_spreadsheets_are_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    assert read_csv(tmp_path / "a.csv", ("image", "label")).values.tolist() == [["a.png", "x"], ["b,c.png", "y\nz"]]


def test_missing_cells_at_the_end_of_a_row_are_blank(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("image,label,note\na.png\nb.png,x\nc.png,y,z\n")
    rows = [["a.png", "", ""], ["b.png", "x", ""], ["c.png", "y", "z"]]
    assert read_csv(tmp_path / "a.csv", ("image", "label")).values.tolist() == rows


@pytest.mark.parametrize("row", ["../x.png,z", "a/../../x,z", "/x.png,z", ".//x.png,z", "././../x,z", ",z", "./,z"])
@pytest.mark.parametrize("before", ["", "ok.png,z\n", '"a\nb.png","x\r\ny"\n\nok.png,z\n'], ids=["", "row", "breaks"])
def test_a_path_that_names_nothing_or_leaves_the_root_is_refused_with_its_line(
    tmp_path: Path, row: str, before: str
) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(f"image,label\n{before}{row}\nlast.png,z\n".encode())
    line = 2 + before.count("\n")
    with pytest.raises(DataError, match=rf"a\.csv, line {line}\b"):
        read_csv(file, ("image", "label"))


@pytest.mark.parametrize("before", ["", "ok.png,z\n", '"a\nb.png","x\r\ny"\n\nok.png,z\n'], ids=["", "row", "breaks"])
def test_a_row_that_is_too_long_is_refused_with_its_line(tmp_path: Path, before: str) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(f"image,label\n{before}a.png,y,z\nlast.png,z\n".encode())
    with pytest.raises(DataError, match=rf"a\.csv.*line {2 + before.count(chr(10))}\b"):
        read_csv(file, ("image", "label"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"image,lable\na.png,x\n", "line 1: no column label; it has image, lable"),
        (b"a.png,x\n", "no column image and label"),
        (b"image,label,label\na.png,x,y\n", "column label appears more than once"),
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"image,label\na.png,caf\xe9\n", "not UTF-8"),
        ("image,label\na.png,x\n".encode("utf-16-le"), "line 1: holds a NUL"),
        (b'image,label\n"a.png,x\nb.png,y\n', "line 2: opens a quote"),
    ],
    ids=["column", "header", "twice", "nothing", "blank", "latin-1", "utf-16 unmarked", "open quote"],
)
def test_an_invalid_table_is_refused_with_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataError, match=reason):
        read_csv(tmp_path / "a.csv", ("image", "label"))


def test_a_file_that_does_not_exist_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.csv: no such file"):
        read_csv(tmp_path / "none.csv", ("image",))
