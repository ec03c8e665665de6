"""What a scores file says must be possible, whoever wrote it: `select` believes every word of it."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dfal_cli.errors import DataError, listed, shown
from dfal_cli.schemas import IMAGE, PREDICTED, SCORES_COLUMNS
from dfal_cli.tables.csv_files import line_of, wrong_image

LONGEST_SIDE = 100_000


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(type(n) is int and 0 < n <= LONGEST_SIDE for n in value)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


FIELDS: dict[str, Callable[[Any], bool]] = {
    "image_root": _is_text,
    "input_shape": _is_shape,
    "white": lambda value: value is None or (type(value) in (int, float) and 0 < value < math.inf),
    "follow_links": lambda value: isinstance(value, bool),
    "norm": _is_text,
    "classes": _are_texts,
    "made_from": _is_text,
    "nearest": lambda value: value is None or (type(value) is int and value >= 0),
    "labelled_embeddings": lambda value: isinstance(value, bool),
}
"""Of the metadata, what is used later; only the first must be there."""


def check_metadata(path: Path, metadata: dict[str, Any]) -> None:
    """Raise DataError if the metadata in (or beside) a scores file cannot be true."""
    for name, fits in FIELDS.items():
        if not fits(metadata[name]) if name in metadata else name == "image_root":
            raise DataError(f"{path}: its metadata have no usable {name}; score again")


def check_scores(path: Path, table: pd.DataFrame, metadata: dict[str, Any]) -> None:
    """Raise DataError, with the row, if a scores table cannot be true or does not go with its metadata."""
    images = table[IMAGE]
    impossible = wrong_image(images)
    if impossible is not None:
        raise DataError(f"{_where(path, impossible[0])}: {impossible[1]}")
    for name in (name for name, kind in SCORES_COLUMNS.items() if kind == "string"):
        _refuse(path, table[name], table[name].str.contains("\0", regex=False), "holds a NUL character; score again")
    _refuse(path, images, images.duplicated(), "stands there already; score again")
    for _, numbers in table.select_dtypes(np.floating).items():
        _refuse(path, numbers, pd.Series(np.isinf(numbers)), "is no finite number; score again")
    _refuse(path, table["margin"], table["margin"] < 0, "is less than nothing; score again")
    known = metadata.get("classes")
    if known is not None:
        strange = ~table[PREDICTED].isin([*known, ""])
        _refuse(path, table[PREDICTED], strange, f"is not among its metadata's classes ({listed(known)}); score again")


def _refuse(path: Path, values: "pd.Series[Any]", wrong: "pd.Series[bool]", what: str) -> None:
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise DataError(f"{_where(path, row)}: {values.name} {shown(str(values[row]))} {what}")


def _where(path: Path, row: int) -> str:
    return f"{path}, line {line_of(path, row)}" if path.suffix.lower() == ".csv" else f"{path}, row {row + 1}"
