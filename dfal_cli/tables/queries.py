"""queries.csv: a batch of images the oracle is asked about."""

from pathlib import Path

import pandas as pd

from dfal_cli.schemas import IMAGE, LABEL, QUERIES_COLUMNS, RANK, TWIN
from dfal_cli.tables.csv_files import read_csv
from dfal_cli.tables.labels import is_blank, one_row_per_image


def queries_table(picked: pd.DataFrame, extra_columns: list[str]) -> pd.DataFrame:
    """Return the query list of the picked images, in rank order.

    picked: text columns image, and margin and twin if known. Its `extra_columns` follow the standard columns.
    The labels are empty; a person fills them in.
    """
    known = picked.assign(**{RANK: [str(rank) for rank in range(1, len(picked) + 1)], LABEL: ""})
    columns = [*QUERIES_COLUMNS, *(name for name in extra_columns if name not in QUERIES_COLUMNS)]
    return known.reindex(columns=columns, fill_value="").reset_index(drop=True)


def read_queries(path: Path) -> pd.DataFrame:
    """Read a query list; only image and label are required. Raises the errors of `read_labels`."""
    return checked_queries(path, read_csv(path, required=(IMAGE, LABEL)))


def checked_queries(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Return the table of a query list with the columns that `read_queries` gives it. Raises DataError."""
    table = one_row_per_image(path, table)
    return table if TWIN in table else table.assign(**{TWIN: ""})


def count_answers(table: pd.DataFrame) -> int:
    """Return the number of answered queries."""
    return int((~is_blank(table[LABEL])).sum())
