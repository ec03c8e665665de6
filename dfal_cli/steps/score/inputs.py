"""Whether existing scores are up to date."""

from dfal_cli.steps.pool_inputs import Kind
from dfal_cli.tables import labelled_embeddings_match, metadata_matches_rows, read_scores_metadata

SCORES = Kind(
    "a scores file",
    read_scores_metadata,
    lambda path: metadata_matches_rows(path) and labelled_embeddings_match(path),
    "scoring them again",
)
