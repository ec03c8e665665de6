"""Embeddings files: dfal's own, and those of other programs, are read by the names of their images."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dfal_cli.errors import DataError
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


@pytest.mark.parametrize("scale", [1, 1e-30, 1e30])
def test_unit_length_divides_vectors_by_their_lengths_and_keeps_zero_vectors(scale: float) -> None:
    vectors = np.array([[3, 4], [0, 0], [-5, 0]], np.float32) * np.float32(scale)
    np.testing.assert_allclose(unit_length(vectors), [[0.6, 0.8], [0, 0], [-1, 0]], rtol=1e-6)
