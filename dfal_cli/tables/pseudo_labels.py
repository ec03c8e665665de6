"""<out>.pseudo.csv: labels that a network gave. They train along once, and are nobody's answer."""

from collections.abc import Sequence, Set
from pathlib import Path

import pandas as pd

from dfal_cli.errors import DataError, listed, shown
from dfal_cli.schemas import IMAGE, LABEL, PSEUDO_COLUMNS, PSEUDO_LABEL, TWIN
from dfal_cli.tables.csv_files import line_of, read_csv
from dfal_cli.tables.names import NameMatcher, keep_names


def pseudo_labels_table(images: "pd.Series[str]", labels: "pd.Series[str]") -> pd.DataFrame:
    """The table to write, for these labels by row; `images` has a name for every row, and perhaps for others."""
    return pd.DataFrame({IMAGE: images[labels.index], PSEUDO_LABEL: labels}, columns=list(PSEUDO_COLUMNS), dtype=str)


def read_pseudo_labels(
    paths: Sequence[Path], classes: Sequence[str], known: Set[str], matching: NameMatcher = keep_names
) -> tuple[pd.DataFrame, int]:
    """Read several files as one table of labelled rows, as `read_labels_files` makes it, without twins.

    The images in `known`, of which something better is known, are left out; how many, is the second result.
    Raises UsageError if there is no such file, DataError (with the line) if it is none of pseudo-labels, if a class is
    not one of `classes`, or if an image has two pseudo-labels that differ.
    """
    table = pd.concat([_nothing(), *(_with_origin(path, matching) for path in paths)], ignore_index=True)
    _refuse(table, ~table[LABEL].isin(classes), f"is not among the classes: {listed(classes)}")
    _refuse(table, table[LABEL] != table.groupby(IMAGE)[LABEL].transform("first"), "was given another class before")
    once = table.drop_duplicates(IMAGE)
    unknown = once[~once[IMAGE].isin(known)].reset_index(drop=True)
    return unknown, len(once) - len(unknown)


def _nothing() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=str) for name in (IMAGE, LABEL, TWIN, "file", "row")})


def _with_origin(path: Path, matching: NameMatcher) -> pd.DataFrame:
    table = read_csv(path, required=PSEUDO_COLUMNS)
    return pd.DataFrame(
        {
            IMAGE: matching(path, table[IMAGE]),
            LABEL: table[PSEUDO_LABEL],
            TWIN: "",
            "file": str(path),
            "row": range(len(table)),
        }
    )


def _refuse(table: pd.DataFrame, wrong: "pd.Series[bool]", what: str) -> None:
    if wrong.any():
        row = table[wrong].iloc[0]
        line = line_of(Path(row["file"]), int(row["row"]))
        raise DataError(
            f"{row['file']}, line {line}: image {shown(row[IMAGE])}: pseudo-label {shown(row[LABEL])} {what}; "
            "write the file anew with `dfal select --strategy ceal`"
        )
