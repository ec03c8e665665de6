"""Heads: multinomial logistic regression on embeddings of unit length, fitted to convergence.

The weights W, (K, d), and biases b, (K,), minimise

    mean_i -log softmax(W x_i + b)[y_i]  +  strength / 2 |W|^2.

The best strength hardly depends on the number of labels, because the loss is a mean (tests/benchmarks/heads.py).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dfal_cli.system.threads import one_thread
from dfal_cli.tables.vectors import Values

STRENGTH = 3e-5
"""The strength if there are too few labels to choose one."""
STRENGTHS = (3e-4, 3e-5, 3e-6)
"""The strengths among which cross-validation chooses; the accuracy is flat between them."""
LABELS_PER_CLASS = 10
"""Mean number of labels per class from which cross-validation chooses the strength."""
LABELS_TO_CHOOSE_BY = 500
"""Maximum number of labels by which the strength is chosen, unless there are more than 50 classes."""
FOLDS = 5
MAX_ITERATIONS = 10_000
LARGEST_SHARE_IN_SPAN = 0.5
"""Up to this number of labels per dimension, solving in the span of the embeddings is quicker."""
LOG_ODDS_OF_ABSENT = 20.0
"""How far the logit of a class without labels lies below all others: a probability of at most 2e-9."""

Numbers = npt.NDArray[np.float64]
Targets = npt.NDArray[np.intp]


class Precision(NamedTuple):
    """How precisely a head is fitted."""

    dtype: type[np.floating]
    tolerance: float
    """Largest component of the gradient at the end."""


PRECISE = Precision(np.float64, 1e-6)
QUICK = Precision(np.float32, 1e-4)
"""For heads that only cross-validation needs."""


class Head(NamedTuple):
    """A linear classifier of unit-length embeddings."""

    weight: Numbers
    """(K, d)"""
    bias: Numbers
    """(K,)"""
    strength: float
    how: str
    """How the strength was chosen: "given", "fixed" or "cross-validated"."""

    def logits(self, vectors: Values) -> Numbers:
        """Return the logits of unit-length embeddings, (n, d) -> (n, K)."""
        logits: Numbers = vectors @ self.weight.T + self.bias
        return logits


def fit_head(
    vectors: Values, targets: Targets, num_classes: int, *, strength: float | None = None, balanced: bool = False,
    groups: Targets | None = None,
) -> Head:  # fmt: skip
    """Fit a head to n embeddings of unit length, (n, d), and their classes, (n,).

    A class without labels gets zero weights and a logit so low that it is never predicted.

    num_classes: K. strength: None = by cross-validation if there are LABELS_PER_CLASS labels per class, else STRENGTH.
    balanced: whether all classes count the same, however many labels each has.
    groups: (n,) equal numbers for examples that cross-validation must not divide, such as an image and its twin.
    """
    how = "given"
    with one_thread():
        if strength is None:
            enough = len(targets) >= LABELS_PER_CLASS * num_classes
            strength = _chosen_strength(vectors, targets, num_classes, balanced, groups) if enough else STRENGTH
            how = "cross-validated" if enough else "fixed"
        problem = _Problem.of(vectors, targets, num_classes, balanced, PRECISE)
        (head,) = problem.heads(np.ones(len(targets), bool), [strength])
    return head._replace(how=how)


def held_out_logits(
    vectors: Values, targets: Targets, num_classes: int, *, strength: float, balanced: bool = False,
    groups: Targets | None = None, learnt: npt.NDArray[np.bool_] | None = None,
) -> Numbers:  # fmt: skip
    """Return the logits of each example, (n, K), from a head fitted to the other folds. Arguments as of `fit_head`.

    learnt: (n,) the examples that heads are fitted to; None = all.
    """
    logits = np.empty((len(targets), num_classes))
    with one_thread():
        problem, folds = _Problem.of(vectors, targets, num_classes, balanced, QUICK), folds_of(targets, groups)
        for fold in np.unique(folds):
            (head,) = problem.heads((folds != fold) & (True if learnt is None else learnt), [strength])
            logits[folds == fold] = head.logits(vectors[folds == fold])
    return logits


def folds_of(targets: Targets, groups: Targets | None = None) -> Targets:
    """Return the fold of each example, (n,); every class is spread evenly, and a group is in one fold."""
    ids = np.arange(len(targets)) if groups is None else groups
    _, first, group = np.unique(ids, return_index=True, return_inverse=True)
    folds = np.empty(len(first), np.intp)
    folds[np.lexsort((first, targets[first]))] = np.arange(len(first)) % FOLDS
    return folds[group]


def softmax(logits: Numbers) -> Numbers:
    """Return probabilities: logits (n, K) -> (n, K)."""
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    probabilities: Numbers = exponentials / exponentials.sum(1, keepdims=True)
    return probabilities


def cross_entropy(logits: Numbers, targets: Targets) -> Numbers:
    """Return the cross-entropy of each example in nats: logits (n, K), targets (n,) -> (n,)."""
    shifted = logits - logits.max(1, keepdims=True)
    losses: Numbers = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(targets)), targets]
    return losses


class _Problem(NamedTuple):
    """Examples of a head: their embeddings centred, and expressed in their span if that is smaller.

    The minimum is the same, because biases are not penalised and the best weights have no part outside the span.
    Centred embeddings need fewer iterations.
    """

    points: npt.NDArray[np.floating]
    """(n, r)"""
    mean: Numbers
    """(d,)"""
    basis: npt.NDArray[np.floating] | None
    """(d, r), orthonormal; None if r = d."""
    targets: Targets
    num_classes: int
    balanced: bool
    tolerance: float

    @classmethod
    def of(
        cls, vectors: Values, targets: Targets, num_classes: int, balanced: bool, precision: Precision
    ) -> "_Problem":  # fmt: skip
        """Centre the embeddings and choose their coordinates."""
        mean = vectors.mean(0, dtype=np.float64)
        points, basis = (vectors - mean).astype(precision.dtype, copy=False), None
        if len(points) <= LARGEST_SHARE_IN_SPAN * points.shape[1]:
            basis, coordinates = np.linalg.qr(points.T)
            points = np.ascontiguousarray(coordinates.T)
        return cls(points, mean, basis, targets, num_classes, balanced, precision.tolerance)

    def heads(self, rows: npt.NDArray[np.bool_], strengths: Sequence[float]) -> Iterator[Head]:
        """Yield a head fitted to these rows for each strength; each fit begins with the result of the one before."""
        from sklearn.linear_model import LogisticRegression

        points, targets = self.points[rows], self.targets[rows]
        present = np.unique(targets)
        regression = LogisticRegression(
            tol=self.tolerance,
            max_iter=MAX_ITERATIONS,
            warm_start=True,
            class_weight="balanced" if self.balanced else None,
        )
        # Of two classes, scikit-learn penalises the difference of their weights, whose square is twice as large.
        scale = len(targets) / 2 if len(present) == 2 else len(targets)
        for strength in strengths:
            if len(present) == 1:
                yield self._head(present, np.zeros((1, points.shape[1])), np.zeros(1), strength)
                continue
            regression.set_params(C=1 / (strength * scale)).fit(points, targets)
            weight, bias = regression.coef_, regression.intercept_
            if len(present) == 2:
                weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
            yield self._head(present, weight, bias, strength)

    def _head(self, present: Targets, weight: Numbers, bias: Numbers, strength: float) -> Head:
        """Return the head in the embedding space; weight (P, r) and bias (P,) are those of the P present classes."""
        weights = np.zeros((self.num_classes, len(self.mean)))
        weights[present] = weight if self.basis is None else weight @ self.basis.T
        biases = np.empty(self.num_classes)
        biases[present] = bias - weights[present] @ self.mean
        lowest = (biases[present] - np.linalg.norm(weights[present], axis=1)).min()  # of a vector of unit length
        biases[np.setdiff1d(np.arange(self.num_classes), present)] = lowest - LOG_ODDS_OF_ABSENT
        return Head(weights, biases, strength, "given")


def _chosen_strength(
    vectors: Values, targets: Targets, num_classes: int, balanced: bool, groups: Targets | None
) -> float:  # fmt: skip
    """Return the strength with the least mean cross-entropy on held-out folds of (a part of) the examples."""
    step = -(-len(targets) // max(LABELS_TO_CHOOSE_BY, LABELS_PER_CLASS * num_classes))
    part = np.lexsort((np.arange(len(targets)), targets))[::step]  # with the same share of every class
    vectors, targets, groups = vectors[part], targets[part], None if groups is None else groups[part]
    folds = folds_of(targets, groups)
    problem = _Problem.of(vectors, targets, num_classes, balanced, QUICK)
    weight_of = 1 / np.bincount(targets, minlength=num_classes).clip(1) if balanced else np.ones(num_classes)
    losses = np.zeros(len(STRENGTHS))
    for fold in np.unique(folds):
        known = np.isin(targets, targets[folds != fold])  # a class without other examples tells nothing
        held_out = known & (folds == fold)
        for place, head in enumerate(problem.heads(folds != fold, STRENGTHS)):
            each = cross_entropy(head.logits(vectors[held_out]), targets[held_out])
            losses[place] += each @ weight_of[targets[held_out]]
    return STRENGTHS[int(losses.argmin())]
