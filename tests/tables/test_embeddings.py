"""Embeddings files: dfal's own, and those of other programs, which are read or refused with the name of an image."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dfal_cli.errors import DataError, UsageError
from dfal_cli.tables.embeddings import (
    Block,
    read_blocks,
    read_embedded_images,
    read_embeddings,
    read_embeddings_metadata,
    write_embeddings,
)
from dfal_cli.tables.vector_files import ROWS_PER_BLOCK
from dfal_cli.tables.vectors import Values, unit_length
from tests.conftest import write

NAMES = ["a.jpg", "b/c.jpg", "d.jpg"]
VECTORS = np.array([[1, 2], [3, -4], [0.5, 0]], np.float32)
METADATA = {"backbone": "lite0", "dimension": 2}

KINDS = {
    "float16 lists": pa.list_(pa.float16()),
    "float32 lists": pa.list_(pa.float32()),
    "float64 lists": pa.list_(pa.float64()),
    "float64 large lists": pa.large_list(pa.float64()),
    "float16 lists of fixed size": pa.list_(pa.float16(), 2),
    "float64 lists of fixed size": pa.list_(pa.float64(), 2),
}


def others(path: Path, embedding: pa.Array, images: object = NAMES) -> Path:
    """A Parquet file of another program, with a column more."""
    pq.write_table(pa.table({"id": pa.array(range(len(embedding))), "image": images, "embedding": embedding}), path)
    return path


def lists(*vectors: Any, kind: pa.DataType = KINDS["float32 lists"]) -> pa.Array:
    plain = [None if each is None else [x if x is None else float(x) for x in each] for each in vectors]
    return pa.array(plain, kind)


def many(count: int, dimension: int = 3) -> tuple[list[str], Values, np.ndarray]:
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((count, dimension), np.float32)
    return [f"{k:06d}.jpg" for k in range(count)], vectors, generator.integers(0, 2**60, (count, 2))


def divided(size: int, images: list[str], vectors: Values, states: np.ndarray) -> Iterator[Block]:
    for start in range(0, len(images), size):
        part = slice(start, start + size)
        yield Block(images[part], vectors[part], states[part])


def test_written_embeddings_are_read_with_their_metadata_and_states(tmp_path: Path) -> None:
    images, vectors, states = many(ROWS_PER_BLOCK + 7)
    write_embeddings(tmp_path / "e.parquet", divided(1000, images, vectors, states), METADATA)
    read = read_embeddings(tmp_path / "e.parquet")
    assert read.images == images
    np.testing.assert_array_equal(read.vectors, vectors)
    assert {name: read.metadata[name] for name in METADATA} == METADATA
    blocks = list(read_blocks(tmp_path / "e.parquet"))
    assert len(blocks) > 1
    np.testing.assert_array_equal(np.concatenate([block.vectors for block in blocks]), vectors)
    np.testing.assert_array_equal(np.concatenate([block.states for block in blocks]), states)  # type: ignore[arg-type]


def test_equal_rows_give_equal_bytes_however_they_are_divided_into_blocks(tmp_path: Path) -> None:
    rows = many(2 * ROWS_PER_BLOCK + 7)
    for size in (1000, ROWS_PER_BLOCK, 10**6):
        write_embeddings(tmp_path / f"{size}.parquet", divided(size, *rows), METADATA)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_lists_of_every_float_type_of_other_programs_are_read(tmp_path: Path, kind: str) -> None:
    read = read_embeddings(others(tmp_path / "e.parquet", lists(*VECTORS, kind=KINDS[kind])))
    assert (read.images, read.metadata) == (NAMES, {})
    assert read.vectors.dtype == np.float32
    np.testing.assert_array_equal(read.vectors, VECTORS)


def test_a_data_frame_of_lists_is_read(tmp_path: Path) -> None:
    pd.DataFrame({"image": NAMES, "embedding": list(VECTORS)}).to_parquet(tmp_path / "e.parquet")
    np.testing.assert_array_equal(read_embeddings(tmp_path / "e.parquet").vectors, VECTORS)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
def test_a_matrix_with_a_csv_of_its_image_names_is_read(tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "e.npy", VECTORS.astype(dtype))
    write(tmp_path / "e.csv", "image,note", *(f"{name},x" for name in NAMES))
    read = read_embeddings(tmp_path / "e.npy")
    assert (read.images, read.metadata) == (NAMES, {})
    np.testing.assert_array_equal(read.vectors, VECTORS)
    assert read_embeddings_metadata(tmp_path / "e.npy") == {}


def test_rows_are_sorted_by_path_and_names_spelled_as_in_labels_files(tmp_path: Path) -> None:
    path = others(tmp_path / "e.parquet", lists(*VECTORS), ["./z.jpg", "b//c.jpg", "a.jpg"])
    read = read_embeddings(path)
    assert read.images == ["a.jpg", "b/c.jpg", "z.jpg"]
    np.testing.assert_array_equal(read.vectors, VECTORS[::-1])
    assert read_embedded_images(path) == ["z.jpg", "b/c.jpg", "a.jpg"]


@pytest.mark.parametrize("suffix", ["parquet", "npy"])
def test_only_named_images_are_read_if_names_are_given(tmp_path: Path, suffix: str) -> None:
    images, vectors, states = many(3 * ROWS_PER_BLOCK)
    if suffix == "parquet":
        write_embeddings(tmp_path / "e.parquet", divided(5000, images, vectors, states), METADATA)
    else:
        np.save(tmp_path / "e.npy", vectors)
        write(tmp_path / "e.csv", "image", *images)
    rows = [0, 17, 2 * ROWS_PER_BLOCK + 3]
    read = read_embeddings(tmp_path / f"e.{suffix}", names={*(images[row] for row in rows), "absent.jpg"})
    assert read.images == [images[row] for row in rows]
    np.testing.assert_array_equal(read.vectors, vectors[rows])


def test_the_id_is_that_of_the_contents(tmp_path: Path) -> None:
    def sha256_of(vectors: Values, names: list[str]) -> str:
        np.save(tmp_path / "e.npy", vectors)
        write(tmp_path / "e.csv", "image", *names)
        return read_embeddings(tmp_path / "e.npy").sha256

    first = sha256_of(VECTORS, NAMES)
    assert sha256_of(VECTORS, NAMES) == first
    assert first not in {sha256_of(VECTORS + 1, NAMES), sha256_of(VECTORS, NAMES[::-1])}


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


@pytest.mark.parametrize("suffix", ["parquet", "npy"])
def test_a_row_is_that_of_the_file_and_zero_vectors_are_counted(tmp_path: Path, suffix: str) -> None:
    images, vectors, states = many(ROWS_PER_BLOCK + 9)
    vectors[[3, ROWS_PER_BLOCK + 2]] = 0

    def read(names: list[str]) -> list[str]:
        if suffix == "parquet":
            write_embeddings(tmp_path / "e.parquet", divided(5000, images, vectors, states), METADATA)
        else:
            np.save(tmp_path / "e.npy", vectors)
            write(tmp_path / "e.csv", "image", *images)
        warnings: list[str] = []
        read_embeddings(tmp_path / f"e.{suffix}", names=names, warn=warnings.append)
        return warnings

    (warning,) = read(images[2:])
    assert f"e.{suffix}: 2 of {len(images) - 2} embeddings are zero vectors, the first that of '000003.jpg'" in warning
    assert read(images[:3]) == []
    late = ROWS_PER_BLOCK + 4
    vectors[late, 1] = np.inf
    with pytest.raises(DataError, match=rf"e\.{suffix}, row {late + 1}: image '{images[late]}'"):
        read(images[2:])


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


@pytest.mark.parametrize("scale", [1, 1e-30, 1e30])
def test_unit_length_divides_vectors_by_their_lengths_and_keeps_zero_vectors(scale: float) -> None:
    vectors = np.array([[3, 4], [0, 0], [-5, 0]], np.float32) * np.float32(scale)
    np.testing.assert_allclose(unit_length(vectors), [[0.6, 0.8], [0, 0], [-1, 0]], rtol=1e-6)
