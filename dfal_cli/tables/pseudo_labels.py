"""<out>.pseudo.csv: labels predicted by a network. They are used in one training run and never count as answers."""

from collections.abc import Sequence, Set
from pathlib import Path

import pandas as pd

from dfal_cli.errors import DataError, listed, shown
from dfal_cli.schemas import IMAGE, LABEL, PSEUDO_COLUMNS, PSEUDO_LABEL, TWIN
from dfal_cli.tables.csv_files import line_of, read_csv
from dfal_cli.tables.names import NameMatcher, keep_names


def pseudo_labels_table(images: "pd.Series[str]", labels: "pd.Series[str]") -> pd.DataFrame:
    """Return the table of these labels by row; `images` holds the names of at least these rows."""
    return pd.DataFrame({IMAGE: images[labels.index], PSEUDO_LABEL: labels}, columns=list(PSEUDO_COLUMNS), dtype=str)


def read_pseudo_labels(
    paths: Sequence[Path], classes: Sequence[str], known: Set[str], matching: NameMatcher = keep_names
) -> tuple[pd.DataFrame, int]:
    """Read several files as one table with the columns of `read_labels_files`, without twins.

    Images in `known`, which have a true label, are left out; the second result is their number.
    Raises UsageError if a file does not exist, DataError (with the line) if it does not hold pseudo-labels, if a class
    is not one of `classes`, or if an image has two different pseudo-labels.
    """
    table = pd.concat([_empty_table(), *(_with_origin(path, matching) for path in paths)], ignore_index=True)
    _refuse(table, ~table[LABEL].isin(classes), f"is not among the classes: {listed(classes)}")
    first_labels = table.groupby(IMAGE)[LABEL].transform("first")
    _refuse(table, table[LABEL] != first_labels, "differs from an earlier one of this image")
    unique = table.drop_duplicates(IMAGE)
    unknown = unique[~unique[IMAGE].isin(known)].reset_index(drop=True)
    return unknown, len(unique) - len(unknown)


def _empty_table() -> pd.DataFrame:
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
            "write the file again with `dfal select --strategy ceal`"
        )
