"""Predictions of images or embeddings: classes and confidences, computed while the images stream by."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dfal_cli.measures.linear import probabilities as softmax
from dfal_cli.scoring.rows import ROWS_PER_TABLE, UNKNOWN, Block, names_of
from dfal_cli.tables.predictions import predictions_table
from dfal_cli.tables.vectors import Values

PREDICTION = np.dtype([("predicted", np.int32), ("confidence", np.float32)])
"""Classes are indices into those of the network, UNKNOWN if the logits are not finite; the confidence is nan then."""

DECIMALS = 6
"""Of a probability. Rounding in float32 depends on the batch size and changes the seventh."""

Logits = npt.NDArray[np.float64]


def predictions_of(logits: Logits, temperature: float) -> tuple[Block, Values]:
    """Return rows of PREDICTION and the probabilities, (n, K), of logits (n, K)."""
    probabilities = softmax(logits / temperature).round(DECIMALS).astype(np.float32)
    rows = np.empty(len(logits), PREDICTION)
    rows["predicted"] = np.where(np.isfinite(logits).all(1), logits.argmax(1), UNKNOWN)
    rows["confidence"] = probabilities.max(1)
    return rows, probabilities


class Predictions(NamedTuple):
    """The predictions of a pool, sorted by path."""

    images: Sequence[str]
    rows: Block
    """(n,) PREDICTION"""
    classes: Sequence[str]

    def counts(self) -> Counter[str | None]:
        """Return the number of images by predicted class; None if there is no prediction."""
        codes, counts = np.unique(self.rows["predicted"], return_counts=True)
        names = (None if code == UNKNOWN else self.classes[code] for code in codes.tolist())
        return Counter(dict(zip(names, counts.tolist(), strict=True)))

    def below(self, confidence: float) -> npt.NDArray[np.bool_]:
        """Return which images have a smaller confidence, or none, (n,)."""
        below: npt.NDArray[np.bool_] = ~(self.rows["confidence"] >= confidence)
        return below

    def tables(
        self, min_confidence: float | None, probabilities: Callable[[], Iterator[Values]] | None
    ) -> Iterator[pa.Table]:
        """Yield the predictions table in pieces of ROWS_PER_TABLE rows.

        min_confidence: marks rows below it. probabilities: yields those of the same pieces.
        """
        look = None if min_confidence is None else self.below(min_confidence)
        pieces = probabilities() if probabilities else None
        for start in range(0, max(1, len(self.images)), ROWS_PER_TABLE):
            these = slice(start, start + ROWS_PER_TABLE)
            rows = self.rows[these]
            yield predictions_table(
                self.images[these], names_of(rows["predicted"], self.classes), rows["confidence"],
                None if look is None else look[these], next(pieces) if pieces else None, self.classes,
            )  # fmt: skip
