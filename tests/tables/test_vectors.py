"""Vectors, an array before and after: through Arrow, and through a scores file."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dfal_cli.schemas import SCORES_COLUMNS
from dfal_cli.tables import read_labelled_embeddings, read_scores, scores_table, write_labelled_embeddings, write_scores
from dfal_cli.tables.vectors import ROWS_AT_ONCE, Values, as_arrow, from_arrow, move_to_front

vectors = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=5).filter(lambda shape: shape[1] > 0),
    elements=st.floats(width=32),
)  # fmt: skip


def with_unknown_rows(values: Values) -> Values:
    """A vector is known as a whole or not at all."""
    return np.where(np.isfinite(values).all(1, keepdims=True), values, np.float32(np.nan))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(parts=st.lists(vectors, max_size=3))
def test_vectors_survive_a_round_trip_exactly_and_values_not_finite_become_nan(parts: list[Values]) -> None:
    parts = [part for part in parts if part.shape[1] == parts[0].shape[1]] or [np.zeros((0, 3), np.float32)]
    column = pa.chunked_array([as_arrow(part) for part in parts])
    np.testing.assert_array_equal(from_arrow(column), with_unknown_rows(np.concatenate(parts)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vectors")


def write(path: Path, count: int, **further: Values) -> None:
    columns = {
        name: [f"{k}.png" for k in range(count)] if name == "image" else [None] * count for name in SCORES_COLUMNS
    }
    metadata = {"image_root": "i", "made_from": "x", "labelled_embeddings": True}
    write_scores(path, [scores_table(columns, further)], metadata)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(values=vectors)
def test_vector_measures_are_read_as_arrays_and_only_if_named(folder: Path, values: Values) -> None:
    write(folder / "s.parquet", len(values), embedding=values, egl=values[:, 0])
    assert list(read_scores(folder / "s.parquet").table.columns) == list(SCORES_COLUMNS)
    table = read_scores(folder / "s.parquet", ("embedding", "egl", "absent")).table
    assert list(table.columns) == [*SCORES_COLUMNS, "embedding", "egl"]
    cells = table["embedding"].to_list()
    assert all(cell.dtype == np.float32 for cell in cells)
    np.testing.assert_array_equal(np.array(cells, np.float32).reshape(values.shape), with_unknown_rows(values))
    numbers = np.where(np.isfinite(values[:, 0]), values[:, 0], np.float32(np.nan))
    np.testing.assert_array_equal(table["egl"].to_numpy("float32"), numbers)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(values=vectors)
def test_embeddings_of_labelled_images_survive_a_round_trip(folder: Path, values: Values) -> None:
    write(folder / "l.parquet", 1)
    images = [f"=é{k}.png" for k in range(len(values))]
    write_labelled_embeddings(folder / "l.parquet", images, values, "x")
    read = read_labelled_embeddings(folder / "l.parquet")
    assert read is not None
    assert read[0] == images
    np.testing.assert_array_equal(read[1], with_unknown_rows(values))


@pytest.mark.parametrize("step", [1, 2, 7])
def test_rows_are_moved_to_the_front_as_if_they_had_been_copied_before(step: int) -> None:
    values = np.random.default_rng(0).standard_normal((3 * ROWS_AT_ONCE, 2), np.float32)
    rows = np.arange(step - 1, len(values), step)
    expected = values[rows]
    move_to_front(values, rows)
    np.testing.assert_array_equal(values[: len(rows)], expected)
