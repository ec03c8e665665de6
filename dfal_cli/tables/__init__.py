"""The tables people and programs exchange with dfal: labels, scores, query lists."""

from dfal_cli.tables.companions import refuse_foreign_files
from dfal_cli.tables.csv_files import (
    DFAL_DIALECT,
    csv_bytes,
    line_of,
    read_csv,
    to_csv,
    write_csv,
    write_rows,
)
from dfal_cli.tables.csv_rows import Dialect, dialect_of
from dfal_cli.tables.folders import FolderLabels, labels_from_folders
from dfal_cli.tables.labelled import (
    labelled_embeddings_match,
    labelled_path,
    read_labelled_embeddings,
    write_labelled_embeddings,
)
from dfal_cli.tables.labels import (
    answered_images,
    answers_of_tool,
    is_blank,
    labelled_rows,
    one_row_per_image,
    read_excluded,
    read_labels,
    read_labels_files,
    write_labels,
)
from dfal_cli.tables.locations import location_of
from dfal_cli.tables.names import ImageNames, NameMatcher, keep_names
from dfal_cli.tables.pseudo_labels import pseudo_labels_table, read_pseudo_labels
from dfal_cli.tables.queries import count_answers, queries_table, read_queries
from dfal_cli.tables.scores import (
    ScoresFile,
    complete_scores,
    metadata_matches_rows,
    read_scores,
    read_scores_metadata,
    scores_table,
    write_scores,
)
from dfal_cli.tables.streamed import number_texts
from dfal_cli.tables.tools.reading import ToolAnswers, read_tool_answers

__all__ = [
    "DFAL_DIALECT",
    "Dialect",
    "FolderLabels",
    "ImageNames",
    "NameMatcher",
    "ScoresFile",
    "ToolAnswers",
    "answered_images",
    "answers_of_tool",
    "complete_scores",
    "count_answers",
    "csv_bytes",
    "dialect_of",
    "is_blank",
    "keep_names",
    "labelled_embeddings_match",
    "labelled_path",
    "labelled_rows",
    "labels_from_folders",
    "line_of",
    "location_of",
    "metadata_matches_rows",
    "number_texts",
    "one_row_per_image",
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
    "read_tool_answers",
    "refuse_foreign_files",
    "scores_table",
    "to_csv",
    "write_csv",
    "write_labelled_embeddings",
    "write_labels",
    "write_rows",
    "write_scores",
]
