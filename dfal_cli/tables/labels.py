"""labels.csv: what people have said of images. Only `image,label` is needed; the user's own columns survive."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from dfal_cli.errors import DataError, shown
from dfal_cli.schemas import IMAGE, LABEL, LABELS_COLUMNS, SKIP, TWIN
from dfal_cli.system.paths import folder_of
from dfal_cli.tables.csv_files import DFAL_DIALECT, line_of, location_of, read_csv, write_csv
from dfal_cli.tables.csv_rows import Dialect
from dfal_cli.tables.names import NameMatcher, keep_names


def read_labels(path: Path) -> pd.DataFrame:
    """Read one labels file: columns image, label, twin ("" if absent) and the user's, one row per image.

    Raises UsageError if there is no such file, DataError if a column is missing or an image stands there twice.
    """
    table = one_row_per_image(path, read_csv(path, required=(IMAGE, LABEL)))
    return table if TWIN in table else table.assign(**{TWIN: ""})


def read_labels_files(paths: Sequence[Path], matching: NameMatcher = keep_names) -> pd.DataFrame:
    """Read what labels files settle: columns image, label, twin (absolute path or ""), file and row, for messages.

    An image may stand in several files as long as they agree. Raises as `read_labels` and `matching` do, and DataError
    if they do not.
    """
    tables = [_with_origin(path, read_labels(path), matching) for path in paths]
    if not tables:
        return pd.DataFrame({name: pd.Series(dtype=str) for name in (*LABELS_COLUMNS, "file", "row")})
    together = pd.concat(tables, ignore_index=True)
    if together[IMAGE].is_unique:
        return together
    _check_agreement(together)
    # Of the rows that say the same, the one that knows a twin is the richer.
    together = together.sort_values(TWIN, kind="stable", ascending=False).drop_duplicates(IMAGE).sort_index()
    return together.reset_index(drop=True)


def labelled_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The rows to train on: neither blank nor __skip__."""
    return table[~is_blank(table[LABEL]) & (table[LABEL] != SKIP)].reset_index(drop=True)


def answered_images(table: pd.DataFrame) -> set[str]:
    """The images that are not in the pool any more: labelled, or __skip__."""
    return set(table.loc[~is_blank(table[LABEL]), IMAGE])


def read_excluded(paths: Sequence[Path], matching: NameMatcher = keep_names) -> set[str]:
    """The images named in any of the files, which need no column but `image`. Raises as `read_csv` and `matching`."""
    return {image for path in paths for image in matching(path, read_csv(path, required=(IMAGE,))[IMAGE])}


def write_labels(
    path: Path, table: pd.DataFrame, check: Callable[[], None] = lambda: None, dialect: Dialect = DFAL_DIALECT
) -> None:
    """Write a labels table in the order of its rows and columns; `check` is as of `atomic_output`."""
    write_csv(path, table, check, dialect)


def is_blank(labels: "pd.Series[str]") -> "pd.Series[bool]":
    """Which labels are blank: the image is still in the pool."""
    return labels.str.strip() == ""


def one_row_per_image(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Return the table, or raise DataError naming the two lines on which an image stands."""
    twice = table[IMAGE].duplicated()
    if twice.any():
        second = int(twice.to_numpy().argmax())
        image = table[IMAGE][second]
        first = int((table[IMAGE] == image).to_numpy().argmax())
        raise DataError(
            f"{path}, line {line_of(path, second)}: image {shown(image)} stands on line {line_of(path, first)} already "
            f"({shown(table[LABEL][first])}, now {shown(table[LABEL][second])}); keep one of the two"
        )
    return table


def _with_origin(path: Path, table: pd.DataFrame, matching: NameMatcher) -> pd.DataFrame:
    """The rows that have a label."""
    folder = folder_of(path)
    settled = table[~is_blank(table[LABEL])]
    twins = [str(folder / twin) if twin else "" for twin in settled[TWIN]]
    images = matching(path, settled[IMAGE])
    return pd.DataFrame(
        {IMAGE: images, LABEL: settled[LABEL], TWIN: twins, "file": str(path), "row": settled.index}
    ).reset_index(drop=True)


def _check_agreement(table: pd.DataFrame) -> None:
    differing = table.groupby(IMAGE, sort=True)[LABEL].nunique()
    differing = differing[differing > 1]
    if len(differing):
        image = differing.index[0]
        said = [
            f"{shown(row[LABEL])} in {location_of(Path(row['file']), row['row'])}"
            for row in table[table[IMAGE] == image].to_dict("records")
        ]
        raise DataError(f"image {shown(image)}: {'; '.join(said)}: the labels files must agree")
