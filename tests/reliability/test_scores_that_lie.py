"""Scores files of other programs, damaged ones and impossible ones: exit 3, one line, no list is written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import Ended, dfal, write_margins
from tests.reliability.test_tables_that_lie import assert_refused, everything

MARGINS = {"a.png": 0.1, "b.png": 0.2, "c.png": None}
INF = float("inf")


def select(file: str, *arguments: object) -> Ended:
    return dfal("select", "--scores", file, "--count", 2, "--out", "q.csv", "--preview", "p.html", *arguments)


def parquet(metadata: str | bytes | dict[str, Any] | None = None, **columns: Any) -> None:
    """s.parquet with other columns, and with other metadata: text, or a change of some fields."""
    table = pq.read_table(write_margins(Path("s.parquet"), Path("images"), MARGINS))
    before = table.schema.metadata
    arrays = {name: values if isinstance(values, pa.Array) else pa.array(values) for name, values in columns.items()}
    kept = {} if set(arrays) >= set(ALL_NULL) else dict(zip(table.column_names, table.columns, strict=True))
    table = pa.table(kept | arrays)
    if isinstance(metadata, dict):
        metadata = json.dumps(json.loads(before[b"dfal"]) | metadata)
    table = table.replace_schema_metadata(before if metadata is None else {"dfal": metadata})
    pq.write_table(table, "s.parquet")


def vectors(*values: float) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values, pa.float32()), len(values) // 3)


def damaged(change: Callable[[bytes], bytes]) -> None:
    parquet()
    Path("s.parquet").write_bytes(change(Path("s.parquet").read_bytes()))


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "another program's": (lambda: pq.write_table(pa.table({"a": [1]}), "s.parquet"), "no valid dfal metadata"),
    "no column": (lambda: pq.write_table(pq.read_table("s.parquet").drop_columns(["margin"]), "s.parquet"),
                  "no column margin"),
    "half": (lambda: damaged(lambda content: content[: len(content) // 2]), "or damaged"),
    "without its last byte": (lambda: damaged(lambda content: content[:-1]), "or damaged"),
    "without its beginning": (lambda: damaged(lambda content: content[10:]), "or damaged"),
    "a huge footer": (lambda: damaged(lambda content: content[:-8] + b"\xff\xff\xff\x7fPAR1"), "or damaged"),
    "more rows than bytes": (
        lambda: parquet(**{name: pa.nulls(9**6, kind) for name, kind in ALL_NULL.items()}), "531,441 rows",
    ),
    "text for margins": (lambda: parquet(margin=["0.1", "0.2", "0.3"]), "column margin holds string, not float32"),
    "truths for margins": (lambda: parquet(margin=[True, False, True]), "column margin holds bool"),
    "lists for margins": (lambda: parquet(margin=[[1.0], [], [2.0]]), "column margin holds list<element: double>"),
    "structs for margins": (lambda: parquet(margin=[{"a": 1}] * 3), "column margin holds struct<a: int64>"),
    "times for margins": (lambda: parquet(margin=pa.array([1, 2, 3], pa.timestamp("s"))), "holds timestamp"),
    "an infinite margin": (lambda: parquet(margin=[0.1, INF, None]), "row 2: margin 'inf' is not a finite number"),
    "a negative margin": (lambda: parquet(margin=[0.1, None, -0.2]), "row 3: margin '-0.2"),
    "parts of iterations": (lambda: parquet(iterations=[1.5, 2.0, 3.0]), "or damaged"),
    "an image twice": (lambda: parquet(image=["a", "b", "a"]), "row 3: image 'a' appears more than once"),
    "no image": (lambda: parquet(image=["a", None, "b"]), "row 2: image '': the path is empty"),
    "an image elsewhere": (lambda: parquet(image=["a", "b", "../c"]), "row 3: image '../c': leaves the image root"),
    "a NUL in a path": (lambda: parquet(image=["a\0b", "b", "c"]), "row 1: image 'a\\x00b' holds a NUL"),
    "a NUL in a twin": (lambda: parquet(twin=["", "b\0", ""]), "row 2: twin 'b\\x00' holds a NUL"),
    "bytes for paths": (lambda: parquet(image=[b"a\xff", b"b", b"c"]), "column image holds binary"),
    "no JSON": (lambda: parquet("{"), "no valid dfal metadata"),
    "no UTF-8": (lambda: parquet(b"\xff\xfe"), "no valid dfal metadata"),
    "brackets without end": (lambda: parquet('{"contract":1,"a":' + "[" * 200_000), "no valid dfal metadata"),
    "a number without end": (lambda: parquet('{"contract":1' + "0" * 9_999 + "}"), "no valid dfal metadata"),
    "no root": (lambda: parquet('{"contract":1}'), "no usable image_root"),
    "a root of NUL": (lambda: parquet({"image_root": "a\0"}), "no usable image_root"),
    "a nearest of text": (lambda: parquet({"nearest": "3"}), "no usable nearest"),
    "a nearest of true": (lambda: parquet({"nearest": True}), "no usable nearest"),
    "a huge shape": (lambda: parquet({"input_shape": [1, 10**9, 10**9]}), "no usable input_shape"),
    "classes of another network": (lambda: parquet({"classes": ["cat"]}),
                                   "row 1: predicted 'dark' is not among the classes in the metadata (cat)"),
}  # fmt: skip
ALL_NULL = {
    "image": pa.string(), "predicted": pa.string(), "confidence": pa.float32(), "probability_gap": pa.float32(),
    "entropy": pa.float32(), "outcome": pa.string(), "margin": pa.float32(), "crossing_class": pa.string(),
    "iterations": pa.int32(), "twin": pa.string(),
}  # fmt: skip


@pytest.mark.parametrize(("make", "said"), REFUSED.values(), ids=REFUSED)
def test_a_parquet_that_lies_is_refused_and_nothing_is_written(
    in_tmp: Path, make: Callable[[], Any], said: str
) -> None:
    parquet()
    make()
    before = everything(in_tmp)
    assert_refused(select("s.parquet"), 3, said)
    assert everything(in_tmp) == before


VECTORS: dict[str, tuple[Any, str]] = {
    "numbers": (np.float32([1, 2, 3]), "column embedding holds float, not vector"),
    "lists": ([[1.0], [2.0], [3.0]], "column embedding holds list<element: double>, not vector"),
    "texts": (["a", "b", "c"], "column embedding holds string, not vector"),
    "infinite": (pa.array([1.0, INF, 2.0]), "column embedding holds double"),
}


@pytest.mark.parametrize(("values", "said"), VECTORS.values(), ids=VECTORS)
def test_vectors_of_another_kind_are_refused(in_tmp: Path, values: Any, said: str) -> None:
    parquet(embedding=values)
    assert_refused(select("s.parquet", "--strategy", "core-set"), 3, said)


LABELLED: dict[str, dict[str, Any]] = {
    "another length": {"image": ["l"] * 3, "embedding": vectors(1, 2, 3)},
    "texts": {"image": ["l"], "embedding": ["x"]},
    "no embedding": {"image": ["l"]},
    "no images": {"image": [1], "embedding": vectors(1, 2, 3, 4, 5, 6)[:1]},
    "an unknown image": {"image": pa.array([None], pa.string()), "embedding": vectors(1, 2, 3, 4, 5, 6)[:1]},
}


@pytest.mark.parametrize("columns", LABELLED.values(), ids=LABELLED)
def test_embeddings_of_labelled_images_that_lie_are_refused(in_tmp: Path, columns: dict[str, Any]) -> None:
    parquet({"labelled_embeddings": True, "made_from": "m"}, embedding=vectors(1, 2, 3, 4, 5, 6))
    table = pa.table(columns).replace_schema_metadata({"dfal": "m"})
    pq.write_table(table, "s.parquet.labelled.parquet")
    assert_refused(select("s.parquet", "--strategy", "core-set"), 3, "s.parquet.labelled.parquet: ")


CSV: dict[str, tuple[str, str, str]] = {
    "decimal comma": (",0.1,", ',"0,1",', "line 2: margin: '0,1' is not a number"),
    "date": (",0.1,", ",3. Jan,", "line 2: margin: '3. Jan' is not a number"),
    "infinite": (",0.1,", ",inf,", "line 2: margin 'inf' is not a finite number"),
    "too large": (",0.1,", ",1e300,", "line 2: margin 'inf' is not a finite number"),
    "nan": (",0.1,", ",nan,", "line 2: margin: 'nan' is not a number"),
    "digits without end": (",0.1,", f",{'1' * 10**6},", "line 2: margin: '1111"),
    "an image twice": ("b.png", "a.png", "line 3: image 'a.png' appears more than once"),
}


@pytest.mark.parametrize(("old", "new", "said"), CSV.values(), ids=CSV)
def test_a_csv_that_lies_is_refused_with_its_line(in_tmp: Path, old: str, new: str, said: str) -> None:
    file = write_margins(in_tmp / "s.csv", in_tmp / "images", MARGINS)
    file.write_text(file.read_text().replace(old, new, 1))
    assert_refused(select("s.csv"), 3, said)
    assert not Path("q.csv").exists()


@pytest.mark.parametrize("metadata", ["", "{", "[" * 200_000, "[1]", '{"contract":1}', '{"contract":1,"image_root":2}'])
def test_metadata_beside_a_csv_that_are_none_are_refused(in_tmp: Path, metadata: str) -> None:
    write_margins(in_tmp / "s.csv", in_tmp / "images", MARGINS)
    (in_tmp / "s.csv.meta.json").write_text(metadata)
    assert_refused(select("s.csv"), 3, "s.csv.meta.json: ")


def test_scores_that_another_program_wrote_back_wider_are_read(in_tmp: Path) -> None:
    parquet(
        image=pa.array(["b", "a", "c"], pa.large_string()), predicted=pa.array(["dark"] * 3).dictionary_encode(),
        margin=pa.array([0.2, 0.1, None], pa.float64()), iterations=[2.0, 2.0, None],
    )  # fmt: skip
    assert select("s.parquet").code == 0
    assert [line.split(",")[1] for line in Path("q.csv").read_text().splitlines()] == ["image", "a", "b"]
