"""<out>.labelled.parquet: embeddings of the images that were labelled when the pool was scored, by the same network."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dfal_cli.errors import DataError
from dfal_cli.schemas import EMBEDDING, IMAGE, LABELLED_SUFFIX, METADATA_KEY
from dfal_cli.system.files import atomic_output, beside
from dfal_cli.tables.parquet import read_parquet, read_parquet_metadata, refusing_damage
from dfal_cli.tables.scores import read_scores_metadata
from dfal_cli.tables.vectors import Values, as_arrow, from_arrow


def labelled_path(scores: Path) -> Path:
    """Return the path of the labelled images' embeddings that belong to a scores file."""
    return beside(scores, LABELLED_SUFFIX)


def write_labelled_embeddings(scores: Path, images: Sequence[str], embeddings: Values, made_from: str) -> Path:
    """Write embeddings, (n, d), beside their scores and return their path.

    made_from: the fingerprint in the metadata of the scores, by which the two files are matched.
    """
    table = pa.table({IMAGE: pa.array(images, pa.string()), EMBEDDING: as_arrow(embeddings)})
    with atomic_output(labelled_path(scores)) as temporary:
        pq.write_table(table.replace_schema_metadata({METADATA_KEY: made_from}), temporary)
    return labelled_path(scores)


def read_labelled_embeddings(scores: Path) -> tuple[list[str], Values] | None:
    """Return images and embeddings, (n, d), nan where unknown; None if the scores have no labelled embeddings.

    Raises the errors of `read_scores`, and DataError if the file is damaged, missing, or belongs to other scores.
    """
    if not read_scores_metadata(scores).get("labelled_embeddings"):
        return None
    path = labelled_path(scores)
    if not labelled_embeddings_match(scores):
        raise DataError(f"{path}: missing, damaged, or not from the same run as {scores.name}; score again")
    table = read_parquet(path, {IMAGE: "string"}, (EMBEDDING,))
    with refusing_damage(scores):
        scored = pq.read_schema(scores)
    kinds = {schema.field(EMBEDDING).type for schema in (scored, table.schema) if EMBEDDING in schema.names}
    if EMBEDDING not in table.column_names or len(kinds) > 1 or table[IMAGE].null_count:
        raise DataError(f"{path}: its embeddings differ in form from those in {scores.name}; score again")
    return table[IMAGE].to_pylist(), from_arrow(table[EMBEDDING])


def labelled_embeddings_match(scores: Path) -> bool:
    """Return whether the labelled embeddings beside a scores file are from the same run, or not needed."""
    metadata = read_scores_metadata(scores)
    if not metadata.get("labelled_embeddings"):
        return True
    try:
        stored = read_parquet_metadata(labelled_path(scores))
    except DataError:
        return False
    return stored is not None and stored.decode(errors="replace") == metadata.get("made_from")
