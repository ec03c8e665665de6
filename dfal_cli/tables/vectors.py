"""Vectors of images, and the conversion of columns between numpy and Arrow without creating Python objects."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

Values = npt.NDArray[np.float32]
"""Numbers (n,) or vectors (n, d) of n images."""


ROWS_AT_ONCE = 2048
"""Number of vectors scaled or moved at a time."""


def unit_length(vectors: Values) -> Values:
    """Return the vectors, (n, d), divided by their lengths; zero vectors are unchanged."""
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)  # in float32, squares of large values overflow
    lengths = np.sqrt(squares, dtype=np.float64)
    lengths[lengths == 0] = 1
    scaled: Values = vectors / lengths.astype(np.float32)[:, None]
    return scaled


def scale_to_unit_length(vectors: Values) -> None:
    """Do the same in place, block by block, as the vectors of a large pool may fill the memory."""
    for start in range(0, len(vectors), ROWS_AT_ONCE):
        block = slice(start, start + ROWS_AT_ONCE)
        vectors[block] = unit_length(vectors[block])


def move_to_front(vectors: Values, rows: npt.NDArray[np.intp]) -> None:
    """Move some rows, in rising order, to the front of the vectors, (n, d), in place; they overwrite the others."""
    for start in range(0, len(rows), ROWS_AT_ONCE):
        block = slice(start, start + ROWS_AT_ONCE)
        vectors[: len(rows)][block] = vectors[rows[block]]


def as_arrow(values: Values) -> pa.Array:
    """Return a column of float32 or of fixed-size lists of float32; rows with a value that is not finite are null."""
    if values.ndim == 1:
        return pa.array(values, pa.float32(), mask=~np.isfinite(values))
    unknown = ~np.isfinite(values).all(1)
    flat = pa.array(values.reshape(-1), pa.float32())
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1], mask=pa.array(unknown))


def from_arrow(column: pa.ChunkedArray) -> Values:
    """Return a column of vectors as an array (n, d); null rows are nan."""
    size = column.type.list_size
    values = np.full((len(column), size), np.nan, np.float32)
    known = column.is_valid().to_numpy()
    flat = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]  # null vectors are left out
    if flat:
        values[known] = np.concatenate(flat).reshape(-1, size)
    return values


def cells_of(column: pa.ChunkedArray) -> "pd.Series[float]":
    """Return a column of vectors for a DataFrame; its cells are views of one array."""
    return pd.Series(list(from_arrow(column)), dtype=object)
