"""Embeddings files that cannot be used: refused with the name of an image, or with what does not fit."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dfal_cli.errors import DataError, UsageError
from dfal_cli.tables.embeddings import (
    read_embeddings,
    read_embeddings_metadata,
)
from tests.conftest import write
from tests.tables.test_embeddings import NAMES, VECTORS, lists, others


@pytest.mark.parametrize(
    ("embedding", "images", "message"),
    [
        (lists([1, 2], [1, np.nan], [1, 2]), NAMES, r", row 2: image 'b/c.jpg' has an embedding that is not finite"),
        (lists([1, 2], [1, 2], [1, -np.inf]), NAMES, r", row 3: image 'd.jpg' has an embedding that is not finite"),
        (lists([1, 2], [1, None], [1, 2]), NAMES, "image 'b/c.jpg' has an embedding that is not finite"),
        (
            lists([1, 2], [1, -1e40], [1, 2], kind=pa.list_(pa.float64())),
            NAMES,
            r"row 2: image 'b/c.jpg' has an embedding with the value 1e\+40, which is too large for float32; scale",
        ),
        (lists([1, 2], None, [1, 2]), NAMES, "row 2: image 'b/c.jpg' has no embedding"),
        (lists([1, 2], None, [1, 2], kind=pa.list_(pa.float32(), 2)), NAMES, "image 'b/c.jpg' has no embedding"),
        (
            lists([1, 2], [1, 2, 3], [1, 2]),
            NAMES,
            "row 2: image 'b/c.jpg' has an embedding of 3 numbers, others have 2",
        ),
        (lists([], [], []), NAMES, "image 'a.jpg' has an embedding of 0 numbers"),
        (lists([1, 2], [1, 2]), ["a.jpg", "./a.jpg"], "row 2: image 'a.jpg' appears more than once"),
        (lists([1, 2], [1, 2]), ["a.jpg", "/b.jpg"], "row 2: image '/b.jpg': an absolute path"),
        (lists([1, 2], [1, 2]), ["a.jpg", None], "row 2: image '': the path is empty"),
        (pa.array([1.0, 2.0]), NAMES[:2], "column embedding holds double, not lists of floats"),
        (
            pa.array([[1], [2]]),
            NAMES[:2],
            "column embedding holds list<.*int64>, not lists of floats; store lists of float",
        ),
        (
            pa.FixedShapeTensorArray.from_numpy_ndarray(VECTORS),
            NAMES,
            "column embedding holds .*fixed_shape_tensor.*, not lists of floats; store lists of float32, such as list",
        ),
        (lists([1, 2], [1, 2]), [1, 2], "column image holds int64, not text; store the path"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_image(
    tmp_path: Path, embedding: pa.Array, images: object, message: str
) -> None:
    with pytest.raises(DataError, match=rf"e\.parquet.*{message}"):
        read_embeddings(others(tmp_path / "e.parquet", embedding, images))


def test_an_embedding_of_another_length_in_a_later_row_group_is_refused(tmp_path: Path) -> None:
    table = pa.table({"image": NAMES, "embedding": lists([1, 2], [1, 2], [1, 2, 3])})
    pq.write_table(table, tmp_path / "e.parquet", row_group_size=1)
    with pytest.raises(DataError, match=r"'d\.jpg' has an embedding of 3 numbers, others have 2"):
        read_embeddings(tmp_path / "e.parquet")
    assert read_embeddings(tmp_path / "e.parquet", names=NAMES[:2]).images == NAMES[:2]


def test_files_that_hold_no_embeddings_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"path": NAMES}), tmp_path / "e.parquet")
    with pytest.raises(DataError, match="no column image; it has path"):
        read_embeddings(tmp_path / "e.parquet")
    write(tmp_path / "text.parquet", "image,embedding")
    with pytest.raises(DataError, match="not an embeddings file"):
        read_embeddings(tmp_path / "text.parquet")
    with pytest.raises(UsageError, match=r"no such file \(--embeddings\)"):
        read_embeddings(tmp_path / "absent.parquet")
    with pytest.raises(UsageError, match=r"name the matrix beside it instead, .*e\.npy"):
        read_embeddings(tmp_path / "e.csv")


def test_a_matrix_that_does_not_fit_its_names_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "e.npy", VECTORS)
    with pytest.raises(UsageError, match=r"e\.csv: no such file \(the image names of e\.npy\)"):
        read_embeddings(tmp_path / "e.npy")
    write(tmp_path / "e.csv", "image", "a.jpg", "b.jpg")
    with pytest.raises(DataError, match=r"e\.npy: has 3 rows, but .*e\.csv names 2 images"):
        read_embeddings(tmp_path / "e.npy")
    write(tmp_path / "e.csv", "image", "a.jpg", "", "b.jpg")
    with pytest.raises(DataError, match=r"e\.csv names 2 images; its line 3 is blank"):
        read_embeddings(tmp_path / "e.npy")
    write(tmp_path / "e.csv", "image", "a.jpg", "b.jpg", "a.jpg")
    with pytest.raises(DataError, match=r"e\.csv, line 4: image 'a\.jpg' appears more than once"):
        read_embeddings(tmp_path / "e.npy")
    write(tmp_path / "e.csv", "image", *NAMES)
    for matrix in (VECTORS[0], VECTORS.astype(int), np.array([[object()]])):
        np.save(tmp_path / "e.npy", matrix)
        with pytest.raises(DataError, match=r"e\.npy: (holds .*, not floats of shape.*numpy.save|not a matrix)"):
            read_embeddings(tmp_path / "e.npy")


def test_metadata_of_another_version_of_dfal_are_refused_and_those_of_other_programs_ignored(tmp_path: Path) -> None:
    path = tmp_path / "e.parquet"
    table = pa.table({"image": NAMES, "embedding": lists(*VECTORS)})
    pq.write_table(table.replace_schema_metadata({"dfal": json.dumps({"contract": 99, "backbone": "x"})}), path)
    with pytest.raises(DataError, match=r"from another version of dfal \(contract '99', not 1\)"):
        read_embeddings(path)
    for text in ("no JSON", "[]", json.dumps({"contract": 1})):
        pq.write_table(table.replace_schema_metadata({"dfal": text}), path)
        assert read_embeddings_metadata(path) == {}
