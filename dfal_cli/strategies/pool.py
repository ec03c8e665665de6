"""The input and output types of a strategy."""

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

Positions: TypeAlias = "npt.NDArray[np.intp]"
"""Positions of rows in a pool."""


class Pool(NamedTuple):
    """The input of a strategy."""

    scores: "pd.DataFrame"
    """n rows, one per image, sorted by path; the cells of vector measures are arrays."""
    labelled: "npt.NDArray[np.float32] | None" = None
    """(m, d) embeddings of labelled images; only for strategies with `labelled` set."""
