"""The two forms of a file of embeddings, read in blocks: Parquet, and a matrix (.npy) with a CSV file of its names.

Any program may have written it: lists of any float type, of fixed size or not. What is wrong is reported by image.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dfal_cli.errors import DataError, listed, shown
from dfal_cli.schemas import EMBEDDING, IMAGE
from dfal_cli.system.paths import must_be_regular
from dfal_cli.tables.csv_files import invalid_image, line_of, plain_names, read_csv
from dfal_cli.tables.csv_rows import rows_of
from dfal_cli.tables.parquet import MAX_VECTOR_LENGTH, check_row_count, refusing_damage
from dfal_cli.tables.vectors import Values

PARQUET, MATRIX = SUFFIXES = (".parquet", ".npy")
ROWS_PER_BLOCK = 4096
"""20 MB of 1,280 dimensions."""
PROBLEM = "not an embeddings file (columns image and embedding), or damaged; write it again"

AS_FLOATS = "store lists of float32, such as list(vectors.astype('float32'))"

Floats = npt.NDArray[np.floating]


class Rows(NamedTuple):
    """Some rows of a file, to say what is wrong with one of them."""

    path: Path
    images: Sequence[str]
    numbers: Sequence[int] | npt.NDArray[np.intp]
    """Positions of these rows in the file."""

    def where(self, row: int) -> str:
        """Return "FILE, row N: image NAME" for one of the rows."""
        return f"{self.path}, row {self.numbers[row] + 1}: image {shown(self.images[row])}"


def is_matrix(path: Path) -> bool:
    """Return whether the file is a matrix whose image names are in another file."""
    return path.suffix.lower() == MATRIX


def names_file_of(matrix: Path) -> Path:
    """Return the CSV file of a matrix's image names. Raises UsageError if it does not exist."""
    return must_be_regular(matrix.with_suffix(".csv"), f"the image names of {matrix.name}")


def read_names(path: Path) -> list[str]:
    """Return the names of the images in the order of the file. Raises DataError for an invalid or repeated name."""
    names = read_csv(names_file_of(path), (IMAGE,))[IMAGE] if is_matrix(path) else _parquet_names(path)
    invalid = invalid_image(names)
    if invalid is not None:
        raise DataError(f"{_where(path, invalid[0])}: {invalid[1]}")
    repeated = names.duplicated()
    if repeated.any():
        row = int(repeated.to_numpy().argmax())
        raise DataError(f"{_where(path, row)}: image {shown(names[row])} appears more than once; keep one of its rows")
    return names.tolist()


def read_vectors(path: Path, images: Sequence[str], wanted: npt.NDArray[np.bool_]) -> Iterator[Values]:
    """Yield the vectors of the wanted rows in the order of the file, in blocks (b, d) with b > 0.

    images: the names of all rows.
    Raises DataError, with the image, if a vector is missing, not finite, or has another length than those before.
    """
    dimension = None
    for start, block in (_matrix_blocks if is_matrix(path) else _parquet_blocks)(path, wanted):
        chosen = np.flatnonzero(wanted[start : start + len(block)])
        if not len(chosen):
            continue
        rows = Rows(path, [images[start + row] for row in chosen.tolist()], start + chosen)
        vectors = block[chosen] if isinstance(block, np.ndarray) else stacked(block.take(pa.array(chosen)), rows)
        dimension = dimension or vectors.shape[1]
        if vectors.shape[1] != dimension:
            raise _other_length(rows, 0, vectors.shape[1], dimension)
        yield _finite(vectors, rows)


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a Parquet file and check that its columns are those of embeddings. Raises DataError if they are not."""
    file = pq.ParquetFile(path)
    schema = file.schema_arrow
    for name, is_right, wanted in (
        (IMAGE, _is_text, "text; store the path of each image relative to the image root"),
        (EMBEDDING, _is_vector, f"lists of floats; {AS_FLOATS}"),
    ):
        if schema.names.count(name) != 1:
            wrong = f"several columns {name}" if name in schema.names else f"no column {name}"
            raise DataError(f"{path}: {wrong}; it has {listed(schema.names)}")
        kind = schema.field(name).type
        if not is_right(kind):
            raise DataError(f"{path}: column {name} holds {listed([str(kind)])}, not {wanted}")
    check_row_count(path, file)
    return file


def stacked(column: pa.Array, rows: Rows) -> Floats:
    """Return a column of n > 0 lists as an array (n, d). Raises DataError if a list is null or of another length.

    rows: the n rows of the column.
    """
    if column.null_count:
        first = int(np.argmin(column.is_valid().to_numpy(zero_copy_only=False)))
        raise DataError(f"{rows.where(first)} has no embedding (null); remove its row, or embed it")
    fixed = pa.types.is_fixed_size_list(column.type)
    lengths = np.full(len(column), column.type.list_size) if fixed else np.diff(column.offsets.to_numpy())
    different = np.flatnonzero(lengths != lengths[0])
    if len(different):
        raise _other_length(rows, int(different[0]), lengths[different[0]], lengths[0])
    if not 0 < lengths[0] <= MAX_VECTOR_LENGTH:
        raise DataError(f"{rows.where(0)} has an embedding of {lengths[0]:,} numbers")
    values: Floats = column.flatten().to_numpy(zero_copy_only=False)
    return values.reshape(len(column), -1)


def _is_text(kind: pa.DataType) -> bool:
    stored = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(stored) or pa.types.is_large_string(stored))


def _is_vector(kind: pa.DataType) -> bool:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(is_list and pa.types.is_floating(kind.value_type))


def _parquet_names(path: Path) -> "pd.Series[str]":
    with refusing_damage(path, PROBLEM), open_parquet(path) as file:
        column = file.read(columns=[IMAGE])[IMAGE].cast(pa.string()).fill_null("")
        column.validate(full=True)
        return plain_names(pd.Series(column.to_pylist(), dtype=str))


def _parquet_blocks(path: Path, wanted: npt.NDArray[np.bool_]) -> Iterator[tuple[int, pa.Array]]:
    """Yield (first row, column of lists); row groups without a wanted row are not read."""
    with refusing_damage(path, PROBLEM), open_parquet(path) as file:
        end = 0
        for group in range(file.num_row_groups):
            row, end = end, end + file.metadata.row_group(group).num_rows
            if not wanted[row:end].any():
                continue
            for batch in file.iter_batches(ROWS_PER_BLOCK, row_groups=[group], columns=[EMBEDDING]):
                batch.validate(full=True)
                yield row, batch.column(0)
                row += len(batch)


def _matrix_blocks(path: Path, wanted: npt.NDArray[np.bool_]) -> Iterator[tuple[int, Floats]]:
    """Yield (first row, vectors). Raises DataError if the file is not a matrix with as many rows as names."""
    try:
        matrix = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError):
        raise DataError(f"{path}: not a matrix written by numpy.save, or damaged") from None
    if not isinstance(matrix, np.ndarray) or matrix.ndim != 2 or matrix.dtype.kind != "f" or not matrix.shape[1]:
        found = f"{matrix.dtype} of shape {matrix.shape}" if isinstance(matrix, np.ndarray) else "an archive"
        raise DataError(
            f"{path}: holds {found}, not floats of shape (images, dimension); save one row of float32 per image, such "
            "as numpy.save(file, vectors.astype('float32'))"
        )
    if len(matrix) != len(wanted):
        names = names_file_of(path)
        raise DataError(f"{path}: has {len(matrix)} rows, but {names} names {len(wanted)} images{_blank_line(names)}")
    for start in range(0, len(matrix), ROWS_PER_BLOCK):
        yield start, matrix[start : start + ROWS_PER_BLOCK]


def _blank_line(names: Path) -> str:
    """Return "; its line N is blank" for the first blank line between the rows of a CSV file, or ""."""
    lines = [line for line, _ in rows_of(names)]
    blank = next((line + 1 for line, following in pairwise(lines) if following > line + 1), None)
    return "" if blank is None else f"; its line {blank} is blank"


def _where(path: Path, row: int) -> str:
    if is_matrix(path):
        names = names_file_of(path)
        return f"{names}, line {line_of(names, row)}"
    return f"{path}, row {row + 1}"


def _other_length(rows: Rows, row: int, length: int, others: int) -> DataError:
    return DataError(f"{rows.where(row)} has an embedding of {length} numbers, others have {others}")


def _finite(vectors: Floats, rows: Rows) -> Values:
    """Return the vectors in float32. Raises DataError if a value is not finite, or too large for that."""
    with np.errstate(over="ignore"):  # a number too large becomes infinite
        values: Values = vectors.astype(np.float32, copy=False)
    wrong = ~np.isfinite(values).all(1)
    if wrong.any():
        row = int(wrong.argmax())
        if np.isfinite(vectors[row]).all():
            largest = np.abs(vectors[row]).max()
            raise DataError(
                f"{rows.where(row)} has an embedding with the value {largest:.3g}, which is too large for float32; "
                "scale the embeddings"
            )
        raise DataError(f"{rows.where(row)} has an embedding that is not finite (NaN or infinite); embed it again")
    return values
