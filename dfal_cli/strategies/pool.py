"""What a strategy is given, and what it gives back."""

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

Positions: TypeAlias = "npt.NDArray[np.intp]"
"""Of rows of a pool."""


class Pool(NamedTuple):
    """All that a strategy may know."""

    scores: "pd.DataFrame"
    """n rows, one per image, sorted by path; a cell of a vector measure is an array."""
    labelled: "npt.NDArray[np.float32] | None" = None
    """(m, d) embeddings of the images that have been asked about; only for strategies that say `labelled`."""
