"""Scores files, as Parquet and as CSV."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfal_cli.errors import DataError, UsageError
from dfal_cli.schemas import SCORES_COLUMNS
from dfal_cli.tables import read_scores, read_scores_metadata, scores_table, write_scores
from tests.conftest import write, write_margins

METADATA = {"image_root": "/a/é", "settings": {"overshoot": 0.02, "classes": None}}

kinds: dict[str, st.SearchStrategy[Any]] = {
    "float32": st.none() | st.floats(0, width=32, allow_nan=False, allow_infinity=False),
    "int32": st.none() | st.integers(0, 1000),
    "string": st.none() | st.sampled_from(["NA", "007", "a,b", "=x", "-t.npy", 'a"b', "x\ny", "é"]),
}


@st.composite
def columns(draw: st.DrawFn) -> dict[str, list[Any]]:
    images = draw(st.lists(st.sampled_from(["a.png", "=b.png", "c d.png", "é.png"]), unique=True, max_size=4))
    return {
        name: images if name == "image" else [draw(kinds[kind]) for _ in images]
        for name, kind in SCORES_COLUMNS.items()
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scores")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(values=columns())
@pytest.mark.parametrize("name", ["s.parquet", "s.csv", "s.CSV"])
def test_scores_survive_a_round_trip_exactly_including_nulls(
    folder: Path, name: str, values: dict[str, list[Any]]
) -> None:
    write_scores(folder / name, [scores_table(values)], METADATA)
    table, metadata = read_scores(folder / name)
    assert list(table.columns) == list(SCORES_COLUMNS)
    for column, kind in SCORES_COLUMNS.items():
        if kind == "string":
            assert table[column].tolist() == [value or "" for value in values[column]]
        else:
            exact = np.array([np.nan if value is None else value for value in values[column]], dtype=np.float32)
            np.testing.assert_array_equal(table[column].to_numpy("float32"), exact)
    assert {key: metadata[key] for key in METADATA} == METADATA


@pytest.mark.parametrize("name", ["s.parquet", "s.csv"])
def test_equal_scores_are_equal_bytes(tmp_path: Path, name: str) -> None:
    for copy in ("one", "two"):
        write_margins(tmp_path / copy / name, tmp_path, {"a.png": 0.1, "b.png": None})
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_integers_are_written_to_csv_without_a_decimal_point(tmp_path: Path) -> None:
    write_margins(tmp_path / "s.csv", tmp_path, {"a.png": 0.5, "b.png": None}, iterations=[3, None])
    assert pd.read_csv(tmp_path / "s.csv", dtype=str, keep_default_na=False)["iterations"].tolist() == ["3", ""]


def test_an_unknown_margin_is_null_in_parquet_and_empty_in_csv(tmp_path: Path) -> None:
    write_margins(tmp_path / "s.parquet", tmp_path, {"a.png": 0.1, "b.png": None})
    write_margins(tmp_path / "s.csv", tmp_path, {"a.png": 0.1, "b.png": None})
    assert pq.read_table(tmp_path / "s.parquet")["margin"].null_count == 1
    text = pd.read_csv(tmp_path / "s.csv", dtype=str, keep_default_na=False)
    assert text["margin"].tolist() == ["0.1", ""]
    assert text["crossing_class"].tolist() == ["light", ""]


def parquet(path: Path, metadata: dict[str, str] | None = None, **columns: list[Any]) -> None:
    pq.write_table(pa.table(columns or {"a": [1]}).replace_schema_metadata(metadata), path)


def damage(path: Path) -> None:
    """A Parquet file with a good footer and spoilt data."""
    content = bytearray(write_margins(path, path.parent, {f"{k}.png": k / 7 for k in range(50)}).read_bytes())
    content[8:80] = b"\xff" * 72
    path.write_bytes(content)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"image,label\n"),
        lambda path: path.write_bytes(write_margins(path, path.parent, {"a.png": 0.1}).read_bytes()[:-100]),
        damage,
        parquet,
        lambda path: parquet(path, {"dfal": "not json"}),
        lambda path: parquet(path, {"dfal": '["a list"]'}),
        lambda path: parquet(path, {"dfal": '{"contract": 1}'}),
        lambda path: parquet(path, {"dfal": '{"contract": 999}'}),
    ],
    ids=["empty", "text", "truncated", "damaged", "foreign", "no json", "no object", "columns", "contract"],
)
def test_a_file_that_is_not_a_scores_file_is_refused(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "s.parquet")
    with pytest.raises(DataError, match=r"s\.parquet"):
        read_scores(tmp_path / "s.parquet")


def test_scores_of_another_contract_version_are_refused(tmp_path: Path) -> None:
    parquet(tmp_path / "s.parquet", {"dfal": '{"contract": 999}'})
    with pytest.raises(DataError, match="contract 999"):
        read_scores_metadata(tmp_path / "s.parquet")


@pytest.mark.parametrize("metadata", [None, "", "[1]", "{}"])
def test_scores_in_csv_need_their_metadata_beside_them(tmp_path: Path, metadata: str | None) -> None:
    write_margins(tmp_path / "s.csv", tmp_path, {"a.png": 0.1})
    companion = tmp_path / "s.csv.meta.json"
    companion.unlink() if metadata is None else companion.write_text(metadata)
    with pytest.raises(DataError, match=r"s\.csv"):
        read_scores(tmp_path / "s.csv")


def test_a_margin_that_is_not_a_number_is_refused_and_not_read_as_unknown(tmp_path: Path) -> None:
    file = write_margins(tmp_path / "s.csv", tmp_path, {"a.png": 0.1})
    write(file, *file.read_text().replace("0.1", "0;1").splitlines())
    with pytest.raises(DataError, match="margin"):
        read_scores(file)


def test_scores_that_do_not_exist_are_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_scores(tmp_path / "s.parquet")
