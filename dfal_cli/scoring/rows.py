"""Rows of the scores table while they are made: numbers in arrays, as a pool may have a million images.

A row of Python's own numbers takes more than a thousand bytes, one of these fifty and its image's name.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dfal_cli.images import NO_MAX_VALUES, MaxValues
from dfal_cli.margins.crossing import CAP_REACHED, NO_GRADIENT, NOT_FINITE
from dfal_cli.schemas import CROSSED, IMAGE, SKIPPED, TWIN, UNCROSSED
from dfal_cli.tables.vectors import as_arrow

Block = npt.NDArray[Any]
"""Rows of numbers, of one of the kinds below."""

Indices = npt.NDArray[np.int64]
"""Which rows."""

UNKNOWN = -1
"""Stands for no class."""

OUTCOMES = (SKIPPED, CROSSED, UNCROSSED)
"""An outcome is known by its place in here."""

REASONS = (None, NO_GRADIENT, CAP_REACHED, NOT_FINITE)
"""Why an image has not crossed, likewise."""

MEASURED = np.dtype([
    ("predicted", np.int32), ("confidence", np.float32), ("probability_gap", np.float32), ("entropy", np.float32),
    ("logit_gap", np.float64),
])  # fmt: skip
"""What one forward pass tells, nan where it is not known; classes are places in the network's."""

MARGINS = np.dtype([
    ("outcome", np.int8), ("margin", np.float64), ("crossing_class", np.int32), ("iterations", np.int32),
    ("why", np.int8),
])  # fmt: skip
"""The margin is nan unless crossed; float64, because those that nearly tie are settled in that."""


def no_margins(count: int) -> Block:
    """Of images that have not been examined."""
    return np.array([(OUTCOMES.index(SKIPPED), np.nan, UNKNOWN, 0, REASONS.index(None))], MARGINS).repeat(count)


class Rows:
    """The rows of images in the order of their paths: of equal margins, the earlier row comes first."""

    def __init__(
        self,
        images: Sequence[str],
        measured: Block,
        margins: Block,
        max_values: MaxValues = NO_MAX_VALUES,
        flat: int = 0,
    ) -> None:
        """flat: how many of the images are one flat colour."""
        self.images = images
        self.measured = measured
        self.margins = margins
        self.max_values = max_values
        self.flat = flat
        self.twins: dict[int, str] = {}
        """Of some rows, where their twin is."""

    def __len__(self) -> int:
        return len(self.images)

    def of_outcome(self, outcome: str) -> int:
        """How many rows have it."""
        return int((self.margins["outcome"] == OUTCOMES.index(outcome)).sum())

    def uncrossed_because(self) -> Counter[str]:
        """How many rows have not crossed for which reason."""
        why = self.margins["why"][self.margins["outcome"] == OUTCOMES.index(UNCROSSED)]
        counts = {reason: int((why == code).sum()) for code, reason in enumerate(REASONS) if reason}
        return Counter({reason: count for reason, count in counts.items() if count})

    def predicted(self, classes: Sequence[str]) -> list[str | None]:
        """The class of each row; None where it is not known."""
        return [None if code == UNKNOWN else classes[code] for code in self.measured["predicted"].tolist()]

    def by_margin(self) -> Indices:
        """The rows that have a margin, the smallest first."""
        known = np.flatnonzero(np.isfinite(self.margins["margin"]))
        return known[np.argsort(self.margins["margin"][known], kind="stable")]

    def by_logit_gap(self, places: Indices | None = None) -> Indices:
        """Those of the rows (None: of all) whose logit gap is known, the smallest first."""
        among = np.arange(len(self)) if places is None else np.sort(places)
        gaps = self.measured["logit_gap"][among]
        order = np.argsort(gaps, kind="stable")
        return among[order[: np.isfinite(gaps).sum()]]

    def columns(self, start: int, stop: int, classes: Sequence[str]) -> dict[str, Any]:
        """The columns of the scores table for some of the rows."""
        measured, margins = self.measured[start:stop], self.margins[start:stop]
        return {
            IMAGE: self.images[start:stop],
            "predicted": _names(measured["predicted"], classes),
            **{name: as_arrow(measured[name]) for name in ("confidence", "probability_gap", "entropy")},
            "outcome": _names(margins["outcome"], OUTCOMES),
            "margin": as_arrow(margins["margin"].astype(np.float32)),
            "crossing_class": _names(margins["crossing_class"], classes),
            "iterations": margins["iterations"],
            TWIN: [self.twins.get(place) for place in range(start, min(stop, len(self)))],
        }


def _names(codes: Block, names: Sequence[str]) -> pa.Array:
    """The names at these places; null where UNKNOWN."""
    places = pa.array(codes, mask=codes == UNKNOWN)
    return pa.DictionaryArray.from_arrays(places, pa.array(names, pa.string())).cast(pa.string())
