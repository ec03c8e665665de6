"""Answers put into the labels table, with the twins that go with them."""

from pathlib import Path

import pandas as pd

from dfal_cli.schemas import IMAGE, LABEL, LABELS_COLUMNS, TWIN
from dfal_cli.steps.merge.options import MergeOptions
from dfal_cli.system.files import is_file
from dfal_cli.system.paths import folder_of, relative_to_file
from dfal_cli.system.reporting import Reporter


def twins_of(options: MergeOptions, answers: pd.DataFrame, reporter: Reporter) -> "pd.Series[str]":
    """The answers' twins as paths relative to the file to write; "" for those that have none, or whose file is gone."""
    seen: list[str] = []
    missing = 0
    for twin in answers[TWIN]:
        places = (folder_of(file) / twin for file in (options.queries, options.labels) if twin)
        found = next((place for place in places if is_file(place)), None)
        missing += bool(twin) and found is None
        seen.append(relative_to_file(found, options.target) if found else "")
    if missing:
        reporter.warn(f"{missing} of {len(answers)} twins are missing; their labels are merged all the same")
    return pd.Series(seen, answers.index, dtype=str)


def rebased(labels: pd.DataFrame, file: Path, target: Path) -> pd.DataFrame:
    """The labels with their twins as seen from another file's folder."""
    if folder_of(file) == folder_of(target):
        return labels
    twins = [relative_to_file(folder_of(file) / twin, target) if twin else "" for twin in labels[TWIN]]
    return labels.assign(**{TWIN: pd.Series(twins, labels.index, dtype=str)})


def filled_in(labels: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """`labels` with the new answers: rows that exist are filled in where they stand, the others come after them."""
    places = pd.Index(labels[IMAGE]).get_indexer(pd.Index(new[IMAGE]))  # -1 where the image is not listed yet
    listed = places >= 0
    filled = labels.copy()
    filled.loc[places[listed], LABEL] = new.loc[listed, LABEL].to_numpy()
    with_twin = listed & (new[TWIN] != "").to_numpy()  # an answer without a twin does not take one away
    filled.loc[places[with_twin], TWIN] = new.loc[with_twin, TWIN].to_numpy()
    unlisted = new.loc[~listed, list(LABELS_COLUMNS)]
    merged: pd.DataFrame = pd.concat([filled, unlisted], ignore_index=True).fillna("")
    return merged
