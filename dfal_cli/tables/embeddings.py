"""embeddings.parquet: one vector per image, written by `dfal embed` or by any other program.

A matrix (.npy) with a CSV file of its image names beside it (same name, column `image`) is read as well.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from dfal_cli.errors import DataError, UsageError, plural, shown
from dfal_cli.schemas import CONTRACT, EMBEDDING, IMAGE, METADATA_KEY, STATE_COLUMNS
from dfal_cli.system.files import atomic_output
from dfal_cli.system.fingerprints import canonical_json, fingerprint, sha256_of
from dfal_cli.system.paths import must_be_regular, must_end_with
from dfal_cli.tables.parquet import refusing_damage
from dfal_cli.tables.vector_files import (
    MATRIX,
    PROBLEM,
    ROWS_PER_BLOCK,
    SUFFIXES,
    Rows,
    is_matrix,
    names_file_of,
    open_parquet,
    read_names,
    read_vectors,
    stacked,
)
from dfal_cli.tables.vectors import Values, as_arrow

States = npt.NDArray[np.int64]
"""Size in bytes and time of modification in nanoseconds of n image files, (n, 2)."""


class EmbeddingsFile(NamedTuple):
    """Images with their embeddings, sorted by path."""

    images: list[str]
    vectors: Values
    """(n, d)"""
    metadata: dict[str, Any]
    """What `dfal embed` wrote about the backbone; {} if another program made the file."""
    sha256: str
    """Identifies the contents of the file."""


class Block(NamedTuple):
    """Some rows of an embeddings file."""

    images: Sequence[str]
    vectors: Values
    """(n, d), all finite."""
    states: States | None = None
    """States of the image files, from which `dfal embed` tells which images have changed; None if unknown."""


def write_embeddings(
    path: Path, blocks: Iterable[Block | tuple[Sequence[str], Values]], metadata: Mapping[str, Any]
) -> None:
    """Write one or more blocks of rows, sorted by path, as Parquet. Equal rows give equal bytes, however divided."""
    stored = {METADATA_KEY: canonical_json({"contract": CONTRACT, **metadata})}
    with atomic_output(path) as temporary:
        groups = _row_groups(_arrow_table(Block(*block)) for block in blocks)
        first = next(groups).replace_schema_metadata(stored)
        with pq.ParquetWriter(temporary, first.schema, use_dictionary=False, write_statistics=[IMAGE]) as writer:
            writer.write_table(first)
            for group in groups:
                writer.write_table(group)


def read_embeddings(
    path: Path, option: str = "--embeddings", names: Collection[str] | None = None,
    warn: Callable[[str], None] = lambda text: None,
) -> EmbeddingsFile:  # fmt: skip
    """Read an embeddings file; with `names`, only the vectors of these images, so that no others take memory.

    Vectors of float16 and float64 are converted to float32. Names are spelled as in labels files (`./a//b` is `a/b`).
    warn: called about zero vectors, which say nothing about their images.

    Raises UsageError if the file does not exist. Raises DataError if it is not an embeddings file, and names the image
    if one appears twice, or if its embedding is missing, not finite or of another length than the others.
    """
    images = read_embedded_images(path, option)
    wanted = np.fromiter((names is None or image in names for image in images), bool, len(images))
    kept = [image for image, is_wanted in zip(images, wanted, strict=True) if is_wanted]
    order = sorted(range(len(kept)), key=kept.__getitem__)
    places = np.empty(len(kept), np.intp)
    places[order] = np.arange(len(kept))
    vectors, done = np.zeros((0, 0), np.float32), 0
    for block in read_vectors(path, images, wanted):
        if not done:
            vectors = np.empty((len(kept), block.shape[1]), np.float32)
        vectors[places[done : done + len(block)]] = block
        done += len(block)
    found = EmbeddingsFile(
        [kept[row] for row in order], vectors, read_embeddings_metadata(path), embeddings_sha256(path)
    )
    _warn_of_zeros(path, found, warn)
    return found


def _warn_of_zeros(path: Path, found: EmbeddingsFile, warn: Callable[[str], None]) -> None:
    zero = np.flatnonzero(~found.vectors.any(1))
    if len(zero):
        vectors = plural(len(zero), "embedding is a zero vector", "embeddings are zero vectors")
        warn(
            f"{path}: {len(zero)} of {len(found.images)} {vectors}, the first that of {shown(found.images[zero[0]])}; "
            "a zero vector says nothing about its image: embed it again"
        )


def read_embedded_images(path: Path, option: str = "--embeddings") -> list[str]:
    """Return the names of the images, in the order of the file. Raises the errors of `read_embeddings`."""
    if path.suffix.lower() == ".csv":
        raise UsageError(f"{path}: name the matrix beside it instead, {path.with_suffix(MATRIX)} ({option})")
    return read_names(must_be_regular(must_end_with(path, SUFFIXES, option), option))


def read_embeddings_metadata(path: Path) -> dict[str, Any]:
    """Return what `dfal embed` wrote about the backbone; {} if another program made the file.

    Raises DataError if the file is not Parquet or a matrix, or from another version of dfal.
    """
    if is_matrix(path):
        return {}
    with refusing_damage(path, PROBLEM):
        stored = (pq.read_schema(path).metadata or {}).get(METADATA_KEY.encode(), b"{}")
    try:
        metadata = json.loads(stored)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(metadata, dict) or "backbone" not in metadata:
        return {}
    if metadata.get("contract") != CONTRACT:
        found = shown(str(metadata.get("contract")))
        raise DataError(f"{path}: from another version of dfal (contract {found}, not {CONTRACT}); embed again")
    return metadata


def embeddings_sha256(path: Path) -> str:
    """Return an SHA-256 that identifies the contents of an embeddings file."""
    return fingerprint(sha256_of(path), sha256_of(names_file_of(path))) if is_matrix(path) else sha256_of(path)


def read_states(path: Path) -> Iterator[tuple[list[str], States]]:
    """Yield the images of a file that `dfal embed` wrote, and their states, without the embeddings, block by block.

    Raises the errors of `read_embeddings`.
    """
    with refusing_damage(path, PROBLEM), open_parquet(path) as file:
        for rows in file.iter_batches(columns=[IMAGE, *STATE_COLUMNS]):
            yield rows[IMAGE].to_pylist(), _states(rows)


def read_blocks(path: Path) -> Iterator[Block]:
    """Yield the rows of a file that `dfal embed` wrote, with the states of the images, block by block.

    Raises the errors of `read_embeddings`.
    """
    with refusing_damage(path, PROBLEM), open_parquet(path) as file:
        columns, done = [IMAGE, EMBEDDING, *STATE_COLUMNS], 0
        for group in range(file.num_row_groups):  # one at a time: the reader would buffer all of them
            for batch in file.iter_batches(ROWS_PER_BLOCK, row_groups=[group], columns=columns):
                batch.validate(full=True)
                images = batch[IMAGE].to_pylist()
                rows = Rows(path, images, range(done, done + len(images)))
                yield Block(images, stacked(batch[EMBEDDING], rows), _states(batch))
                done += len(images)


def _states(rows: pa.Table | pa.RecordBatch) -> States:
    return np.stack([rows[name].to_numpy().astype(np.int64) for name in STATE_COLUMNS], 1)


def _arrow_table(block: Block) -> pa.Table:
    columns = {IMAGE: pa.array(block.images, pa.string()), EMBEDDING: as_arrow(block.vectors)}
    if block.states is not None:
        columns |= dict(zip(STATE_COLUMNS, map(pa.array, block.states.T), strict=True))
    return pa.table(columns)


def _row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield the rows again in tables of ROWS_PER_BLOCK; the last one may be shorter."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        while sum(map(len, waiting)) >= ROWS_PER_BLOCK:
            joined = pa.concat_tables(waiting)
            yield joined.slice(0, ROWS_PER_BLOCK)
            waiting = [joined.slice(ROWS_PER_BLOCK)]
    if sum(map(len, waiting)):
        yield pa.concat_tables(waiting)
