"""Rows of a labels table that training cannot use, and the twins of the others."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dfal_cli.errors import DataError, plural, shown
from dfal_cli.schemas import IMAGE, SKIP, TWIN
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import ImageNames, location_of
from dfal_cli.tables.twins import TwinError, TwinShapeError, read_twin
from dfal_cli.tables.vectors import Values


def unusable_row(
    names: ImageNames,
    row: "dict[Any, str] | pd.Series[str]",
    reason: str,
    remedy: str = f"repair it, or label it {SKIP}",
) -> DataError:
    """Return the error for a labelled image that cannot be used, with the file and line of its label."""
    place = location_of(Path(row["file"]), row["row"])
    hint = "" if names.is_there(row[IMAGE]) else names.hint(row[IMAGE])
    if hint:
        remedy = f"name images by their paths {names.place}"
    return DataError(f"{place}: image {shown(row[IMAGE])}: {reason}{hint}; {remedy}")


def load_twins(
    table: pd.DataFrame, shape: tuple[int, ...], size: str, reporter: Reporter
) -> tuple[Values, npt.NDArray[np.intp]]:
    """Load the M twins of a labels table, (M, *shape), and return them with the row of each, (M,).

    Twins that are missing or have another shape are left out, with a warning. size: the shape, in words.
    """
    twins, twin_of = [np.empty((0, *shape), np.float32)], []
    missing = misfits = 0
    for row, path in enumerate(table[TWIN]):
        if not path:
            continue
        try:
            twins.append(read_twin(Path(path), shape)[None])
            twin_of.append(row)
        except TwinShapeError:
            misfits += 1
        except TwinError:
            missing += 1
    if missing:
        reporter.warn(
            f"{missing} {plural(missing, 'twin is', 'twins are')} missing or damaged; "
            f"training ignores {plural(missing, 'it', 'them')}"
        )
    if misfits:
        reporter.warn(
            f"{misfits} {plural(misfits, 'twin does', 'twins do')} not match {size}; "
            f"training ignores {plural(misfits, 'it', 'them')}"
        )
    return np.concatenate(twins), np.array(twin_of, np.intp)
