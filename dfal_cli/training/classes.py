"""The classes of a training, and labels that are not among them."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from dfal_cli.errors import DataError, listed, plural, shown
from dfal_cli.schemas import LABEL
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import location_of
from dfal_cli.tables.class_names import check_class_names, likely_typos


def choose_classes(table: pd.DataFrame, class_names: Sequence[str] | None) -> tuple[str, ...]:
    """Return the class names: those of --class-names, or the sorted labels of a table of labelled rows.

    Raises UsageError for an invalid class name. Raises DataError if there are fewer than two classes, or if a label is
    not among `class_names`.
    """
    if class_names is None:
        classes = tuple(sorted(set(table[LABEL])))
    else:
        classes = tuple(dict.fromkeys(class_names))
        check_class_names(classes)
        check_labels(table, classes)
    if len(classes) < 2:
        only = f"only {shown(classes[0])}" if classes else "none"
        raise DataError(f"a classifier needs at least two classes, but the labels have {only}; label more images")
    return classes


def check_labels(table: pd.DataFrame, classes: Sequence[str]) -> None:
    """Raise DataError if a row has a label that is not among the classes of --class-names."""
    unknown = table[~table[LABEL].isin(classes)]
    if len(unknown):
        row = unknown.iloc[0]
        place = location_of(Path(row["file"]), row["row"])
        raise DataError(f"{place}: label {shown(row[LABEL])} is not in --class-names: {listed(classes)}")


def unknown_classes(table: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    """Return the labels of a table that are not among the classes, sorted."""
    return sorted(set(table[LABEL]) - set(classes))


def check_unknown_classes(
    table: pd.DataFrame, classes: Sequence[str], name: str, reporter: Reporter, *, classes_are_named: bool
) -> None:
    """Warn of images in the set `name` whose class is not trained, and which are therefore always classified wrongly.

    Raises DataError if --class-names gives the classes, or if the validation set has no image of a trained class.
    """
    if classes_are_named:
        check_labels(table, classes)
    unknown = unknown_classes(table, classes)
    if not unknown:
        return
    count = int(table[LABEL].isin(unknown).sum())
    if count == len(table) and name == "validation":
        raise DataError(f"{table['file'][0]}: no image has a class that is in --labels: {listed(classes)} (--{name})")
    reporter.warn(
        f"{count} of {len(table)} images in --{name} {plural(count, 'has a class', 'have classes')} "
        f"without an image in --labels ({listed(unknown)}) and {plural(count, 'counts', 'count')} as wrong"
    )
    for typo in likely_typos(unknown, (*classes, *unknown)):
        reporter.warn(f"--{name}: {typo}")
