"""The classes of a training, and labels that are not among them."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from dfal_cli.errors import DataError, UsageError, listed, shown
from dfal_cli.schemas import LABEL
from dfal_cli.tables import location_of
from dfal_cli.tables.class_names import class_name_error


def choose_classes(table: pd.DataFrame, named: Sequence[str] | None) -> tuple[str, ...]:
    """The class names: those `named`, or those of the table of labelled rows, sorted.

    Raises UsageError: a name that no label can have. DataError: fewer than two, or a label that is not among them.
    """
    if named is None:
        classes = tuple(sorted(set(table[LABEL])))
    else:
        classes = tuple(dict.fromkeys(named))
        problem = class_name_error(classes)
        if problem is not None:
            raise UsageError(f"--class-names: {problem}")
        check_labels(table, classes)
    if len(classes) < 2:
        only = f"only {shown(classes[0])}" if classes else "none"
        raise DataError(f"a classifier needs at least two classes, and the labels hold {only}; label more images")
    return classes


def check_labels(table: pd.DataFrame, classes: Sequence[str]) -> None:
    """Raises DataError if a row has a label that is not among the classes that were named."""
    strangers = table[~table[LABEL].isin(classes)]
    if len(strangers):
        row = strangers.iloc[0]
        place = location_of(Path(row["file"]), row["row"])
        raise DataError(f"{place}: label {shown(row[LABEL])} is not among --class-names: {listed(classes)}")
