"""Temperature scaling: one number by which confidences become the share of the predictions that are right.

Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks" (arXiv:1706.04599), section 4.2: probabilities
are softmax(z / T), and the temperature T minimises the cross-entropy of examples that the classifier was not trained
on. No prediction changes.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

MIN_EXAMPLES = 100
"""Minimum number of held-out examples. The temperature of n examples costs about 1 / 2n nats of loss for its
uncertainty, which of fewer is more than it gains for most heads (docs/predict.md)."""

BINS = 15
"""Number of bins of equal width of the expected calibration error, as in the paper."""

FOLDS = 5
LOWEST, HIGHEST = 0.01, 100.0
"""Limits of a temperature."""

Targets = npt.NDArray[np.intp]
Numbers = npt.NDArray[np.float64]


class Calibration(NamedTuple):
    """A temperature, and what it improves on the examples that it was found on.

    The values after are measured with temperatures of the other folds, so that no example judges its own.
    """

    temperature: float
    examples: int
    loss_before: float
    """Mean cross-entropy in nats."""
    loss_after: float
    error_before: float
    """Expected calibration error."""
    error_after: float


def calibrate(logits: Numbers, targets: Targets) -> Calibration | None:
    """Find the temperature of held-out examples with logits (n, K) and classes (n,); None if they are too few.

    Examples of classes without an output, whose index is K or larger, and those with logits that are not finite are
    left out.
    """
    known = (targets < logits.shape[1]) & np.isfinite(logits).all(1)
    logits, targets = logits[known], targets[known]
    if len(targets) < MIN_EXAMPLES:
        return None
    folds = np.empty(len(targets), np.intp)
    folds[np.argsort(targets, kind="stable")] = np.arange(len(targets)) % FOLDS  # every class is spread evenly
    scaled = np.empty_like(logits)
    for fold in range(FOLDS):
        scaled[folds == fold] = logits[folds == fold] / fitted_temperature(
            logits[folds != fold], targets[folds != fold]
        )
    return Calibration(
        fitted_temperature(logits, targets), len(targets), loss(logits, targets), loss(scaled, targets),
        error_of_logits(logits, targets), error_of_logits(scaled, targets),
    )  # fmt: skip


def fitted_temperature(logits: Numbers, targets: Targets) -> float:
    """Return the temperature with the smallest cross-entropy of examples with logits (n, K) and classes (n,).

    A normal distribution of log T around 0 with variance 1 is the prior: it weighs as much as one example. Without it,
    examples that are all classified correctly would give an infinite confidence.
    """
    from scipy.optimize import minimize_scalar

    def objective(log_temperature: float) -> float:
        return len(targets) * loss(logits / np.exp(log_temperature), targets) + log_temperature**2 / 2

    found = minimize_scalar(
        objective, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(found.x))


def loss(logits: Numbers, targets: Targets) -> float:
    """Return the mean cross-entropy in nats of logits (n, K) and classes (n,)."""
    from scipy.special import logsumexp

    return float((logsumexp(logits, axis=1) - logits[np.arange(len(targets)), targets]).mean())


def error_of_logits(logits: Numbers, targets: Targets) -> float:
    """Return the expected calibration error of logits (n, K) and classes (n,)."""
    return calibration_error(confidence_of(logits), logits.argmax(1) == targets)


def confidence_of(logits: Numbers, temperature: float = 1.0) -> Numbers:
    """Return the probability of each predicted class: logits (n, K) -> (n,); 0 if the logits are not finite."""
    from scipy.special import logsumexp

    finite = np.isfinite(logits).all(1)
    scaled = logits[finite] / temperature
    confidence = np.zeros(len(logits))
    confidence[finite] = np.exp(scaled.max(1) - logsumexp(scaled, axis=1))
    return confidence


def calibration_error(confidence: Numbers, correct: npt.NDArray[np.bool_]) -> float:
    """Return the expected calibration error: the mean difference of confidence and accuracy over bins of confidence.

    Equation 3 of the paper. confidence, correct: (n,).
    """
    if not len(confidence):
        return float("nan")
    bins = np.minimum((confidence * BINS).astype(np.intp), BINS - 1)
    excess = np.bincount(bins, weights=confidence - correct, minlength=BINS)
    return float(np.abs(excess).sum() / len(confidence))
