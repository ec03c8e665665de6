"""The mark of the queries that were drawn at random (select --control), in query lists and in labels.csv."""

import pandas as pd

from dfal_cli.errors import plural
from dfal_cli.schemas import CONTROL, IN_CONTROL

MARKS = (IN_CONTROL, "1.0", "1,0")
"""How spreadsheets write the mark."""


def is_control(table: pd.DataFrame) -> "pd.Series[bool]":
    """Return which rows are marked: none if there is no such column, or if it is the user's own, with other values."""
    if CONTROL not in table:
        return pd.Series(False, table.index)
    cells = table[CONTROL].str.strip()
    marked = cells.isin(MARKS)
    return marked & bool((marked | (cells == "")).all())


def has_foreign_column(table: pd.DataFrame) -> bool:
    """Return whether a column of the user's own has the name of the mark: it holds other values."""
    return CONTROL in table and bool((table[CONTROL].str.strip() != "").any()) and not is_control(table).any()


def control_in_words(count: int) -> str:
    """Return how many queries were drawn at random, for a summary."""
    return f"{count} of them {plural(count, 'is a random control image', 'are random control images')}"
