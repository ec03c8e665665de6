"""labels.csv: the labels that people gave. Only `image,label` is required; the user's own columns are kept."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from dfal_cli.errors import DataError, shown
from dfal_cli.schemas import IMAGE, LABEL, LABELS_COLUMNS, RANK, SKIP, TWIN
from dfal_cli.system.paths import folder_of
from dfal_cli.tables.csv_files import DFAL_DIALECT, line_of, read_csv, write_csv
from dfal_cli.tables.csv_rows import Dialect
from dfal_cli.tables.locations import location_of
from dfal_cli.tables.names import NameMatcher, keep_names
from dfal_cli.tables.tools.reading import ToolAnswers, read_tool_answers
from dfal_cli.tables.tools.settling import PLACE, TIME, settled


def read_labels(path: Path) -> pd.DataFrame:
    """Read one labels file: columns image, label, twin ("" if absent) and the user's own, one row per image.

    Raises UsageError if the file does not exist, DataError if a column is missing or an image has two rows.
    """
    table = one_row_per_image(path, read_csv(path, required=(IMAGE, LABEL)))
    return table if TWIN in table else table.assign(**{TWIN: ""})


def read_labels_files(paths: Sequence[Path], matching: NameMatcher = keep_names) -> pd.DataFrame:
    """Read the labelled and skipped rows of several files: columns image, label, twin (absolute path or ""), file, row.

    A file is a labels file, or holds the answers of a labelling tool. `file` and `row` are for messages. An image may
    be in several files if its labels agree.
    Raises the errors of `read_labels`, `read_tool_answers` and `matching`, and DataError if labels disagree.
    """
    tables = [_with_origin(path, matching) for path in paths]
    if not tables:
        return pd.DataFrame({name: pd.Series(dtype=str) for name in (*LABELS_COLUMNS, "file", "row")})
    together = pd.concat(tables, ignore_index=True)
    if together[IMAGE].is_unique:
        return together
    _check_agreement(together)
    # Where rows agree, the one with a twin is kept.
    together = together.sort_values(TWIN, kind="stable", ascending=False).drop_duplicates(IMAGE).sort_index()
    return together.reset_index(drop=True)


def labelled_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows to train on: neither blank nor __skip__."""
    return table[~is_blank(table[LABEL]) & (table[LABEL] != SKIP)].reset_index(drop=True)


def answered_images(table: pd.DataFrame) -> set[str]:
    """Return the images that are no longer in the pool: labelled or __skip__."""
    return set(table.loc[~is_blank(table[LABEL]), IMAGE])


class Excluded(NamedTuple):
    """The images in --exclude files."""

    images: set[str]
    asked: set[str]
    """Those in query lists: a person is labelling them, unlike the images of a test set."""


def read_excluded(paths: Sequence[Path], matching: NameMatcher = keep_names) -> Excluded:
    """Return the images named in any of the files, which need only a column `image`.

    A file counts as a query list if it has ranks, or images without a label. Raises the errors of `read_csv` and
    `matching`.
    """
    images: set[str] = set()
    asked: set[str] = set()
    for path in paths:
        table = read_csv(path, required=(IMAGE,))
        unused = table[LABEL] == SKIP if LABEL in table else None
        names = set(matching(path, table[IMAGE], unused))
        images |= names
        if RANK in table or (LABEL in table and is_blank(table[LABEL]).any()):
            asked |= names
    return Excluded(images, asked)


def write_labels(
    path: Path, table: pd.DataFrame, check: Callable[[], None] = lambda: None, dialect: Dialect = DFAL_DIALECT
) -> None:
    """Write a labels table in the order of its rows and columns; `check` is passed to `atomic_output`."""
    write_csv(path, table, check, dialect)


def is_blank(labels: "pd.Series[str]") -> "pd.Series[bool]":
    """Return a mask of blank labels: their images are still in the pool."""
    return labels.str.strip() == ""


def one_row_per_image(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Return the table, or raise DataError naming two lines with the same image."""
    duplicated = table[IMAGE].duplicated()
    if duplicated.any():
        second = int(duplicated.to_numpy().argmax())
        image = table[IMAGE][second]
        first = int((table[IMAGE] == image).to_numpy().argmax())
        raise DataError(
            f"{path}, line {line_of(path, second)}: image {shown(image)} is already on line {line_of(path, first)} "
            f"({shown(table[LABEL][first])}, now {shown(table[LABEL][second])}); keep one of the two rows"
        )
    return table


def answers_of_tool(found: ToolAnswers, matching: NameMatcher) -> pd.DataFrame:
    """Return all answers that have a label, by row: columns image, label, place and time, to be `settled`.

    Raises the errors of `matching`.
    """
    rows = [row for row, answer in enumerate(found.answers) if answer.label.strip()]
    given = [found.answers[row] for row in rows]
    places = [f"{found.path}, {each.place}" for each in given]
    columns = {LABEL: [each.label for each in given], PLACE: places, TIME: [each.time for each in given]}
    return pd.DataFrame({IMAGE: matching.of_tool(found, rows), **columns}, rows, dtype=str)


def _with_origin(path: Path, matching: NameMatcher) -> pd.DataFrame:
    """Return the rows that have a label, with their file and row number."""
    found = read_tool_answers(path)
    if found is not None:
        answers, _ = settled(answers_of_tool(found, matching))
        table = answers[[IMAGE, LABEL]].assign(**{TWIN: "", "file": str(found.path)})
        return table.assign(row=answers.index).reset_index(drop=True)
    table = read_labels(path)
    folder = folder_of(path)
    answered = table[~is_blank(table[LABEL])]
    twins = [str(folder / twin) if twin else "" for twin in answered[TWIN]]
    images = matching(path, answered[IMAGE], answered[LABEL] == SKIP)
    return pd.DataFrame(
        {IMAGE: images, LABEL: answered[LABEL], TWIN: twins, "file": str(path), "row": answered.index}
    ).reset_index(drop=True)


def _check_agreement(table: pd.DataFrame) -> None:
    differing = table.groupby(IMAGE, sort=True)[LABEL].nunique()
    differing = differing[differing > 1]
    if len(differing):
        image = differing.index[0]
        labels = [
            f"{shown(row[LABEL])} in {location_of(Path(row['file']), row['row'])}"
            for row in table[table[IMAGE] == image].to_dict("records")
        ]
        raise DataError(f"image {shown(image)}: {'; '.join(labels)}: the labels files must agree")
