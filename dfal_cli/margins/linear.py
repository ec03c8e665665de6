"""Margins of a linear classifier, such as a head on embeddings, in closed form.

Let z_k = <w_k, f> + b_k be the logits of a vector f, and p the predicted class. The classes p and k meet in a
hyperplane at the distance (z_p - z_k) / ||w_p - w_k||* from f, where ||.||* is the dual norm. No boundary is nearer
than the smallest of these distances, and there the prediction changes, so it is the margin itself. It is also what one
step of DeepFool takes (Moosavi-Dezfooli, Fawzi, Frossard, arXiv:1511.04599, section 3.1).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

ROWS_AT_ONCE = 2048
"""Number of vectors computed at a time: 20 MB as float64 if they have 1,280 dimensions."""

ROUNDING = 32 * float(np.finfo(np.float32).eps)
"""Two logits that differ by a smaller share of their terms may swap places when they are computed in float32."""

Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]
Classes = npt.NDArray[np.int64]
"""(n,) indices of classes; -1 for none."""


class Norm(NamedTuple):
    """A norm on vectors."""

    dual: str
    """scipy's name of the distance that the dual norm gives."""
    direction: Callable[[Floats], Floats]
    """w (n, d) -> v of length 1 with <w, v> = ||w||*: the shortest way to raise <w, f>."""


NORMS = {
    "l2": Norm("euclidean", lambda w: w / np.linalg.norm(w, axis=1, keepdims=True)),
    "linf": Norm("cityblock", np.sign),
}


class LinearMargins(NamedTuple):
    """The nearest decision boundary of each of n vectors."""

    predicted: Classes
    """The class with the largest logit, the first of equals; -1 if the logits are not finite."""
    margin: Floats
    """(n,): distance to the nearest other class; nan if no class can be reached."""
    crossing_class: Classes
    """That class, the first of equals; -1 if no class can be reached."""


class LinearBoundaries:
    """The decision boundaries of a linear classifier on vectors.

    Everything is computed in float64, which decides near-ties between images and between classes.
    """

    def __init__(self, weight: npt.NDArray[np.floating], bias: npt.NDArray[np.floating], norm: str = "l2") -> None:
        """weight: (K, d); bias: (K,), K >= 2; norm: a key of NORMS."""
        from scipy.spatial.distance import cdist

        self.weight: Floats = np.asarray(weight, np.float64)
        self.bias: Floats = np.asarray(bias, np.float64)
        self.norm = NORMS[norm]
        self.contrast: Floats = cdist(self.weight, self.weight, self.norm.dual)
        """(K, K): ||w_p - w_k||*."""

    def logits(self, vectors: Vectors) -> Floats:
        """Return the logits, (n, K), of vectors (n, d)."""
        logits: Floats = vectors.astype(np.float64) @ self.weight.T + self.bias
        return logits

    def margins(self, logits: Floats) -> LinearMargins:
        """Return the margins of the vectors with these logits, (n, K).

        A class with the weights of the predicted one cannot be reached, as their logits always differ by the same.
        """
        rows = np.arange(len(logits))
        finite = np.isfinite(logits).all(1)
        predicted = np.where(finite, logits.argmax(1), -1)
        with np.errstate(invalid="ignore"):
            gaps = logits[rows, predicted][:, None] - logits  # (n, K)
        contrast = self.contrast[predicted]  # (n, K), 0 for the predicted class
        distances = np.divide(gaps, contrast, out=np.full_like(gaps, np.inf), where=contrast > 0)
        distances[~finite] = np.inf
        crossing_class = distances.argmin(1)
        margin = distances[rows, crossing_class]
        reached = np.isfinite(margin)
        return LinearMargins(predicted, np.where(reached, margin, np.nan), np.where(reached, crossing_class, -1))

    def across(self, vectors: Vectors, overshoot: float) -> tuple[Vectors, npt.NDArray[np.bool_]]:
        """Move vectors, (n, d), across their nearest boundaries; all of them must have a margin.

        overshoot: share by which the way is longer than the margin. It is longer still if that is too little for the
        class to be certain in float32.

        Returns the moved vectors, (n, d), and whether each is classified differently from its vector, (n,).
        """
        before = self.logits(vectors)
        predicted, margin, other = self.margins(before)
        uphill = self.weight[other] - self.weight[predicted]  # (n, d)
        contrast = self.contrast[predicted, other]
        lead = ROUNDING * (np.abs(before).max(1) + contrast * np.linalg.norm(vectors, axis=1))
        way = np.maximum((1 + overshoot) * margin, margin + 2 * lead / contrast)
        moved = (vectors + way[:, None] * self.norm.direction(uphill)).astype(np.float32)
        after = self.logits(moved)
        return moved, after.max(1) - after[np.arange(len(after)), predicted] > lead


def linear_margins(
    vectors: Vectors, weight: npt.NDArray[np.floating], bias: npt.NDArray[np.floating], norm: str = "l2"
) -> LinearMargins:
    """Return the margins of vectors, (n, d), for the classifier with this weight, (K, d), and bias, (K,).

    Raises KeyError if the norm is unknown.
    """
    boundaries = LinearBoundaries(weight, bias, norm)
    starts = range(0, max(1, len(vectors)), ROWS_AT_ONCE)
    blocks = [boundaries.margins(boundaries.logits(vectors[start : start + ROWS_AT_ONCE])) for start in starts]
    return LinearMargins(*map(np.concatenate, zip(*blocks, strict=True)))
