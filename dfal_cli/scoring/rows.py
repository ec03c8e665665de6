"""Rows of the scores table in memory: numpy arrays, because a pool may have a million images.

A row of Python numbers takes more than a thousand bytes; a row of these arrays takes fifty, and the image's name.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dfal_cli.images import NO_MAX_VALUES, MaxValues
from dfal_cli.margins.reasons import CAP_REACHED, NO_GRADIENT, NOT_FINITE
from dfal_cli.schemas import CROSSED, IMAGE, SKIPPED, TWIN, UNCROSSED
from dfal_cli.tables.vectors import as_arrow

Block = npt.NDArray[Any]
"""Rows of one of the dtypes below."""

Indices = npt.NDArray[np.int64]
"""Indices of rows."""

ROWS_PER_TABLE = 2**14
"""Number of rows written to the scores file at a time."""

UNKNOWN = -1
"""Class code for no class."""

OUTCOMES = (SKIPPED, CROSSED, UNCROSSED)
"""Outcomes; a row stores the index."""

REASONS = (None, NO_GRADIENT, CAP_REACHED, NOT_FINITE)
"""Reasons why an image has not crossed; a row stores the index."""

MEASURED = np.dtype([
    ("predicted", np.int32), ("confidence", np.float32), ("probability_gap", np.float32), ("entropy", np.float32),
    ("logit_gap", np.float64),
])  # fmt: skip
"""Results of one forward pass, nan if unknown; classes are indices into those of the network."""

MARGINS = np.dtype([
    ("outcome", np.int8), ("margin", np.float64), ("crossing_class", np.int32), ("iterations", np.int32),
    ("why", np.int8),
])  # fmt: skip
"""The margin is nan unless crossed; it is float64 because near-ties are resolved in float64."""


def no_margins(count: int) -> Block:
    """Return rows for images that have not been examined."""
    return np.array([(OUTCOMES.index(SKIPPED), np.nan, UNKNOWN, 0, REASONS.index(None))], MARGINS).repeat(count)


class Rows:
    """The rows of scored images, sorted by path; among equal margins the earlier row ranks first."""

    def __init__(
        self,
        images: Sequence[str],
        measured: Block,
        margins: Block,
        max_values: MaxValues = NO_MAX_VALUES,
        flat: int = 0,
    ) -> None:
        """flat: number of images that are a single flat colour."""
        self.images = images
        self.measured = measured
        self.margins = margins
        self.max_values = max_values
        self.flat = flat
        self.twins: dict[int, str] = {}
        """Paths of the twins, by row index."""

    def __len__(self) -> int:
        return len(self.images)

    def of_outcome(self, outcome: str) -> int:
        """Return the number of rows with this outcome."""
        return int((self.margins["outcome"] == OUTCOMES.index(outcome)).sum())

    def uncrossed_because(self) -> Counter[str]:
        """Count the uncrossed rows by reason."""
        why = self.margins["why"][self.margins["outcome"] == OUTCOMES.index(UNCROSSED)]
        counts = {reason: int((why == code).sum()) for code, reason in enumerate(REASONS) if reason}
        return Counter({reason: count for reason, count in counts.items() if count})

    def predicted(self, classes: Sequence[str]) -> list[str | None]:
        """Return the predicted class name of each row; None if unknown."""
        return [None if code == UNKNOWN else classes[code] for code in self.measured["predicted"].tolist()]

    def by_margin(self) -> Indices:
        """Return the rows that have a margin, the smallest first."""
        known = np.flatnonzero(np.isfinite(self.margins["margin"]))
        return known[np.argsort(self.margins["margin"][known], kind="stable")]

    def by_logit_gap(self, rows: Indices | None = None) -> Indices:
        """Return those of the rows (None: all) that have a logit gap, the smallest first."""
        among = np.arange(len(self)) if rows is None else np.sort(rows)
        gaps = self.measured["logit_gap"][among]
        order = np.argsort(gaps, kind="stable")
        return among[order[: np.isfinite(gaps).sum()]]

    def columns(self, start: int, stop: int, classes: Sequence[str]) -> dict[str, Any]:
        """Return the columns of the scores table for the rows from `start` up to `stop`."""
        measured, margins = self.measured[start:stop], self.margins[start:stop]
        return {
            IMAGE: self.images[start:stop],
            "predicted": names_of(measured["predicted"], classes),
            **{name: as_arrow(measured[name]) for name in ("confidence", "probability_gap", "entropy")},
            "outcome": names_of(margins["outcome"], OUTCOMES),
            "margin": as_arrow(margins["margin"].astype(np.float32)),
            "crossing_class": names_of(margins["crossing_class"], classes),
            "iterations": margins["iterations"],
            TWIN: [self.twins.get(row) for row in range(start, min(stop, len(self)))],
        }


def names_of(codes: Block, names: Sequence[str]) -> pa.Array:
    """Return the names with these codes; null for UNKNOWN."""
    indices = pa.array(codes, mask=codes == UNKNOWN)
    return pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.string())).cast(pa.string())
