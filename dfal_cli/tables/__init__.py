"""The tables people and programs exchange with dfal: labels, scores, query lists."""

from dfal_cli.tables.companions import refuse_foreign
from dfal_cli.tables.csv_files import OWN, csv_bytes, line_of, place_of, read_csv, to_csv, write_csv, write_rows
from dfal_cli.tables.csv_rows import Dialect, dialect_of
from dfal_cli.tables.folders import FolderLabels, labels_from_folders
from dfal_cli.tables.labelled import (
    belongs_to_scores,
    labelled_path,
    read_labelled_embeddings,
    write_labelled_embeddings,
)
from dfal_cli.tables.labels import (
    is_blank,
    labelled_rows,
    one_row_per_image,
    read_excluded,
    read_labels,
    read_labels_files,
    settled_images,
    write_labels,
)
from dfal_cli.tables.names import ImageNames, Matching, as_written
from dfal_cli.tables.pseudo_labels import pseudo_labels_table, read_pseudo_labels
from dfal_cli.tables.queries import answers_in, queries_table, read_queries
from dfal_cli.tables.scores import (
    ScoresFile,
    belong_together,
    number_texts,
    read_scores,
    read_scores_metadata,
    scores_table,
    write_scores,
)

__all__ = [
    "OWN",
    "Dialect",
    "FolderLabels",
    "ImageNames",
    "Matching",
    "ScoresFile",
    "answers_in",
    "as_written",
    "belong_together",
    "belongs_to_scores",
    "csv_bytes",
    "dialect_of",
    "is_blank",
    "labelled_path",
    "labelled_rows",
    "labels_from_folders",
    "line_of",
    "number_texts",
    "one_row_per_image",
    "place_of",
    "pseudo_labels_table",
    "queries_table",
    "read_csv",
    "read_excluded",
    "read_labelled_embeddings",
    "read_labels",
    "read_labels_files",
    "read_pseudo_labels",
    "read_queries",
    "read_scores",
    "read_scores_metadata",
    "refuse_foreign",
    "scores_table",
    "settled_images",
    "to_csv",
    "write_csv",
    "write_labelled_embeddings",
    "write_labels",
    "write_rows",
    "write_scores",
]
