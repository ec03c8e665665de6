"""queries.csv: a batch of images the oracle is asked about."""

from pathlib import Path

import pandas as pd

from dfal_cli.schemas import IMAGE, LABEL, QUERIES_COLUMNS, TWIN
from dfal_cli.tables.csv_files import read_csv
from dfal_cli.tables.labels import is_blank, one_row_per_image


def queries_table(picked: pd.DataFrame, further: list[str]) -> pd.DataFrame:
    """The query list for the picked images, in rank order.

    picked: columns image, and margin and twin if known, all text; `further` columns of it come after the usual ones.
    The label is left empty: it is the person's to fill in.
    """
    known = picked.assign(rank=[str(rank) for rank in range(1, len(picked) + 1)], label="")
    columns = [*QUERIES_COLUMNS, *(name for name in further if name not in QUERIES_COLUMNS)]
    return known.reindex(columns=columns, fill_value="").reset_index(drop=True)


def read_queries(path: Path) -> pd.DataFrame:
    """Read a query list; only image and label are needed. Raises as `read_labels`."""
    table = one_row_per_image(path, read_csv(path, required=(IMAGE, LABEL)))
    return table if TWIN in table else table.assign(**{TWIN: ""})


def count_answers(table: pd.DataFrame) -> int:
    """How many queries have been answered."""
    return int((~is_blank(table[LABEL])).sum())
