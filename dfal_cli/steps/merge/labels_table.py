"""The labels table: the twins of new answers, and the table with the answers filled in."""

from pathlib import Path

import numpy as np
import pandas as pd

from dfal_cli.errors import DataError, plural
from dfal_cli.schemas import CONTROL, IMAGE, IN_CONTROL, LABEL, LABELS_COLUMNS, TWIN
from dfal_cli.steps.merge.options import MergeOptions
from dfal_cli.system.files import is_file
from dfal_cli.system.paths import folder_of, relative_to_file
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables.control import has_foreign_column, is_control


def twins_of(options: MergeOptions, answers: pd.DataFrame, reporter: Reporter) -> "pd.Series[str]":
    """Paths of the answers' twins, relative to the output file; "" if there is no twin or its file is missing."""
    paths: list[str] = []
    missing = 0
    for twin in answers[TWIN]:
        candidates = (folder_of(file) / twin for file in (options.queries, options.labels) if twin)
        found = next((path for path in candidates if is_file(path)), None)
        missing += bool(twin) and found is None
        paths.append(relative_to_file(found, options.target) if found else "")
    if missing:
        reporter.warn(
            f"{missing} of {len(answers)} twins {plural(missing, 'is', 'are')} missing; the labels are merged anyway"
        )
    return pd.Series(paths, answers.index, dtype=str)


def rebased(labels: pd.DataFrame, file: Path, target: Path) -> pd.DataFrame:
    """The labels of `file` with twin paths relative to the folder of `target`."""
    if folder_of(file) == folder_of(target):
        return labels
    twins = [relative_to_file(folder_of(file) / twin, target) if twin else "" for twin in labels[TWIN]]
    return labels.assign(**{TWIN: pd.Series(twins, labels.index, dtype=str)})


def check_control_column(labels: pd.DataFrame, file: Path, answers: pd.DataFrame) -> None:
    """Raise DataError if the answers have marks of random queries, and the labels a column of that name for others."""
    if is_control(answers).any() and has_foreign_column(labels):
        raise DataError(
            f"{file}: its column {CONTROL} is your own, but a column of that name is for marks of random queries "
            "(select --control); rename yours"
        )


def filled_in(labels: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """`labels` with the new answers: existing rows are updated in place, other images are appended.

    A mark of a random query goes into the column `control`, which is added if it is needed.
    """
    positions = pd.Index(labels[IMAGE]).get_indexer(pd.Index(new[IMAGE]))  # -1: the image has no row yet
    has_row = positions >= 0
    filled = labels.copy()
    filled.loc[positions[has_row], LABEL] = new.loc[has_row, LABEL].to_numpy()
    with_twin = has_row & (new[TWIN] != "").to_numpy()  # an answer without a twin keeps the existing twin
    filled.loc[positions[with_twin], TWIN] = new.loc[with_twin, TWIN].to_numpy()
    appended = new.loc[~has_row, list(LABELS_COLUMNS)]
    marked = is_control(new).to_numpy()
    if marked.any():
        filled[CONTROL] = filled.get(CONTROL, "")
        filled.loc[positions[has_row & marked], CONTROL] = IN_CONTROL
        appended[CONTROL] = np.where(marked[~has_row], IN_CONTROL, "")
    merged: pd.DataFrame = pd.concat([filled, appended], ignore_index=True).fillna("")
    return merged
