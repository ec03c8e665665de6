"""Measures of a linear classifier on vectors, such as a head on embeddings, in closed form from its logits, (n, K)."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dfal_cli.schemas import EMBEDDING, PROBABILITIES

Floats = npt.NDArray[np.float64]
Values = npt.NDArray[np.float32]


class Uncertainty(NamedTuple):
    """The measures of uncertainty sampling, (n,) each, as in `probability.py`; nan if the logits are not finite."""

    confidence: Floats
    probability_gap: Floats
    entropy: Floats
    """in nats"""


def uncertainty(logits: Floats) -> Uncertainty:
    """Return the measures of the predicted probabilities. Terms of the entropy with p = 0 are 0."""
    from scipy.special import entr

    p = probabilities(logits)
    second, first = np.partition(p, -2, axis=1)[:, -2:].T
    return Uncertainty(first, first - second, entr(p).sum(1))


def probabilities(logits: Floats) -> Floats:
    """Return the probability of each class, (n, K)."""
    from scipy.special import softmax

    with np.errstate(invalid="ignore"):  # of logits that are not finite
        p: Floats = softmax(logits, axis=1)
    return p


def expected_gradient_length(logits: Floats, vectors: Values) -> Floats:
    """Sum over the classes y of p(y) |d(cross-entropy with label y) / d(weights and biases)|, (n,), as in `egl.py`.

    With the label y, the gradient is (p - e_y) times (f, 1), so its length is |p - e_y| sqrt(|f|^2 + 1).
    """
    p = probabilities(logits)
    top = np.arange(len(p)), p.argmax(1)
    others = p.copy()
    others[top] = 0
    # |p - e_y|^2 = (1 - p_y)^2 + the sum of the other squares; for the top class, 1 - p_y may be too small to subtract
    missing = 1 - p
    missing[top] = others.sum(1)
    squares = np.square(p).sum(1, keepdims=True) - np.square(p)
    squares[top] = np.square(others).sum(1)
    lengths = np.sqrt(np.square(missing) + np.maximum(squares, 0))
    expected: Floats = (p * lengths).sum(1) * np.sqrt(np.square(vectors.astype(np.float64)).sum(1) + 1)
    return expected


LINEAR_MEASURES: dict[str, Callable[[Floats, Values], Floats]] = {
    "egl": expected_gradient_length,
    PROBABILITIES: lambda logits, vectors: probabilities(logits),
}
"""Those of MEASURES that have a closed form: logits (n, K), vectors (n, d) -> (n,), or (n, K) for a vector."""

NOT_LINEAR = {
    "bald": "a head has no dropout layers to sample networks with; use egl or another measure",
    EMBEDDING: "the embeddings file has it already; remove the option",
}
"""Those of MEASURES that do not apply to vectors, and why."""
