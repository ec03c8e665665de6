"""Validates the contents of a scores file, because `select` relies on every value in it."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dfal_cli.errors import DataError, listed, shown
from dfal_cli.schemas import IMAGE, PREDICTED, SCORES_COLUMNS, SPACES
from dfal_cli.tables.csv_files import invalid_image, line_of
from dfal_cli.tables.name_columns import in_order

MAX_SIDE = 100_000
"""Pixels."""


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(type(n) is int and 0 < n <= MAX_SIDE for n in value)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_text_or_unknown(value: Any) -> bool:
    return value is None or _is_text(value)


FIELDS: dict[str, Callable[[Any], bool]] = {
    "image_root": _is_text_or_unknown,
    "space": SPACES.__contains__,
    "embeddings": _is_text,
    "input_shape": _is_shape,
    "white": lambda value: value is None or (type(value) in (int, float) and 0 < value < math.inf),
    "follow_links": lambda value: isinstance(value, bool),
    "norm": _is_text,
    "classes": _are_texts,
    "made_from": _is_text,
    "nearest": lambda value: value is None or (type(value) is int and value >= 0),
    "labelled_embeddings": lambda value: isinstance(value, bool),
}
"""Metadata that other steps use -> test of the value. Only image_root is required; it is null if it is unknown."""


def check_metadata(path: Path, metadata: dict[str, Any]) -> None:
    """Raise DataError if a value in the metadata of a scores file is invalid, or image_root is missing."""
    for name, is_valid in FIELDS.items():
        if not is_valid(metadata[name]) if name in metadata else name == "image_root":
            raise DataError(f"{path}: its metadata has no usable {name}; score again")


def check_scores(path: Path, table: pd.DataFrame, metadata: dict[str, Any]) -> None:
    """Raise DataError, with the row, if a scores table holds invalid values or contradicts its metadata.

    table: all or some of the columns; its index holds the positions of the rows in the file.
    """
    images = table[IMAGE]
    invalid = invalid_image(images)
    if invalid is not None:
        raise DataError(f"{_where(path, images.index[invalid[0]])}: {invalid[1]}")
    for name in (name for name, kind in SCORES_COLUMNS.items() if kind == "string" and name in table):
        _refuse(path, table[name], table[name].str.contains("\0", regex=False), "holds a NUL character; score again")
    if not in_order(images):
        _refuse(path, images, images.duplicated(), "appears more than once; score again")
    for _, numbers in table.select_dtypes(np.floating).items():
        _refuse(path, numbers, pd.Series(np.isinf(numbers)), "is not a finite number; score again")
    if "margin" in table:
        _refuse(path, table["margin"], table["margin"] < 0, "is negative; score again")
    classes = metadata.get("classes")
    if classes is not None and PREDICTED in table:
        unknown = ~table[PREDICTED].isin([*classes, ""])
        problem = f"is not among the classes in the metadata ({listed(classes)}); score again"
        _refuse(path, table[PREDICTED], unknown, problem)


def _refuse(path: Path, values: "pd.Series[Any]", wrong: "pd.Series[bool]", problem: str) -> None:
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise DataError(f"{_where(path, values.index[row])}: {values.name} {shown(str(values.iloc[row]))} {problem}")


def _where(path: Path, row: int) -> str:
    return f"{path}, line {line_of(path, row)}" if path.suffix.lower() == ".csv" else f"{path}, row {row + 1}"
