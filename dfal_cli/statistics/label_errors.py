"""Labels that are probably wrong, by confident learning (Northcutt, Jiang and Chuang, arXiv:1911.00068).

Probabilities, (n, K), must be out of sample: those of an example come from a classifier that was not trained on it.
Each of the K classes is the label of at least one of the n examples.
"""

import numpy as np
import numpy.typing as npt

Probabilities = npt.NDArray[np.float64]
Targets = npt.NDArray[np.intp]

HIGHEST_THRESHOLD = 0.95
"""Where nearly every label is certain, examples would miss the mean by a trifle, and wrong ones with them."""


def class_thresholds(probabilities: Probabilities, targets: Targets) -> Probabilities:
    """Return the mean probability of each class among the examples that are labelled so, (K,) (equation 2).

    No threshold is above HIGHEST_THRESHOLD, unlike in the paper.
    """
    own = own_probabilities(probabilities, targets)
    count = np.bincount(targets, minlength=probabilities.shape[1])
    thresholds: Probabilities = np.minimum(np.bincount(targets, own, len(count)) / count, HIGHEST_THRESHOLD)
    return thresholds


def confident_joint(probabilities: Probabilities, targets: Targets) -> npt.NDArray[np.intp]:
    """Count examples by label (rows) and by the class that they confidently are of (columns), (K, K) (equation 1).

    An example is confidently of a class if the probability reaches the threshold of the class; if several do, of the
    most probable of them; if none does, it is not counted.
    """
    reached = probabilities >= class_thresholds(probabilities, targets)
    confident = np.where(reached, probabilities, -1).argmax(1)
    counted = reached.any(1)
    joint = np.zeros((probabilities.shape[1],) * 2, np.intp)
    np.add.at(joint, (targets[counted], confident[counted]), 1)
    return joint


def number_wrong(probabilities: Probabilities, targets: Targets) -> int:
    """Estimate the number of wrong labels: the confident joint, calibrated to the number of labels of each class.

    Calibration (equation 3) also accounts for the examples that are confidently of no class, right or wrong.
    """
    joint = confident_joint(probabilities, targets)
    wrong = joint.sum(1) - joint.diagonal()
    count = np.bincount(targets, minlength=len(joint))
    return round(float((wrong / joint.sum(1).clip(1) * count).sum()))


def probably_wrong(probabilities: Probabilities, targets: Targets) -> Targets:
    """Return the positions of the labels that are probably wrong, the most doubtful first.

    Those labels are taken that have the smallest probabilities, as many as are estimated to be wrong, unless they are
    predicted: in tests/experiments/review this order finds more errors than that by the margin to the most probable
    class.
    """
    order = np.argsort(own_probabilities(probabilities, targets), kind="stable")
    doubtful = order[: number_wrong(probabilities, targets)]
    wrong: Targets = doubtful[probabilities[doubtful].argmax(1) != targets[doubtful]]
    return wrong


def own_probabilities(probabilities: Probabilities, targets: Targets) -> Probabilities:
    """Return the probability of the label of each example, (n,): its self-confidence."""
    own: Probabilities = probabilities[np.arange(len(targets)), targets]
    return own
