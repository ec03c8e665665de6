"""<out>.labelled.parquet: the embeddings of the images labelled when the pool was scored, by the same network."""

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
    """Where the labelled images' embeddings of a scores file are, if it has them."""
    return beside(scores, LABELLED_SUFFIX)


def write_labelled_embeddings(scores: Path, images: Sequence[str], embeddings: Values, made_from: str) -> Path:
    """Write the embeddings, (n, d), beside the scores they belong to: those made from the same. Returns their path."""
    table = pa.table({IMAGE: pa.array(images, pa.string()), EMBEDDING: as_arrow(embeddings)})
    with atomic_output(labelled_path(scores)) as temporary:
        pq.write_table(table.replace_schema_metadata({METADATA_KEY: made_from}), temporary)
    return labelled_path(scores)


def read_labelled_embeddings(scores: Path) -> tuple[list[str], Values] | None:
    """Images and their embeddings, (n, d), nan where not known; None if no image was labelled when the pool was scored.

    Raises as `read_scores`, and DataError if the file is damaged, missing, or belongs to other scores.
    """
    if not read_scores_metadata(scores).get("labelled_embeddings"):
        return None
    path = labelled_path(scores)
    if not labelled_embeddings_match(scores):
        raise DataError(f"{path}: missing, damaged, or not made together with {scores.name}; score again")
    table = read_parquet(path, {IMAGE: "string"}, (EMBEDDING,))
    with refusing_damage(scores):
        scored = pq.read_schema(scores)
    kinds = {schema.field(EMBEDDING).type for schema in (scored, table.schema) if EMBEDDING in schema.names}
    if EMBEDDING not in table.column_names or len(kinds) > 1 or table[IMAGE].null_count:
        raise DataError(f"{path}: does not hold embeddings of images such as {scores.name} does; score again")
    return table[IMAGE].to_pylist(), from_arrow(table[EMBEDDING])


def labelled_embeddings_match(scores: Path) -> bool:
    """Whether the labelled images' embeddings beside a scores file, if it should have them, were made with it."""
    metadata = read_scores_metadata(scores)
    if not metadata.get("labelled_embeddings"):
        return True
    try:
        stored = read_parquet_metadata(labelled_path(scores))
    except DataError:
        return False
    return stored is not None and stored.decode(errors="replace") == metadata.get("made_from")
