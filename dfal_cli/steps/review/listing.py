"""The rows of a review list: which labels, in which order, and why."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from dfal_cli.errors import listed
from dfal_cli.schemas import CONFIDENCE, IMAGE, LABEL, LABELLED, PREDICTED, RANK, REVIEW_COLUMNS, WHY
from dfal_cli.statistics.label_errors import Probabilities
from dfal_cli.steps.review.folds import doubtful, has_others
from dfal_cli.steps.review.labelled import Labelled
from dfal_cli.training.head import folds_of


class Listing(NamedTuple):
    """The labels to look at again."""

    rows: pd.DataFrame
    """The review list, without the excluded images."""
    counts: dict[str, int]
    accuracy: float
    """Share of the labels that classifiers predict which have not seen them; nan if there is none."""


def listing_of(labelled: Labelled, probabilities: Probabilities, most: int | None) -> Listing:
    """List at most `most` labels: first those of copies with several labels, then the others, the least probable first.

    probabilities: (n, K), out of sample. The only label of a class cannot be judged, and is not listed.
    """
    targets = labelled.targets
    judged = np.flatnonzero(has_others(targets, folds_of(targets, labelled.groups)))
    wrong = judged[doubtful(probabilities[judged], targets[judged])]
    copies = _in_disagreement(labelled)
    order = [row for row in dict.fromkeys([*copies, *wrong.tolist()]) if not labelled.is_excluded[row]][:most]
    predicted = probabilities.argmax(1)
    is_wrong = np.isin(np.arange(len(targets)), wrong)
    words = [_why(labelled, copies.get(row), bool(is_wrong[row]), int(predicted[row])) for row in order]
    rows = pd.DataFrame(
        {
            RANK: [str(rank) for rank in range(1, len(order) + 1)],
            IMAGE: [labelled.table[IMAGE][row] for row in order],
            LABEL: "",
            LABELLED: [labelled.table[LABEL][row] for row in order],
            PREDICTED: [labelled.classes[predicted[row]] for row in order],
            CONFIDENCE: [f"{probabilities[row].max():.3f}" for row in order],
            WHY: words,
        },
        columns=list(REVIEW_COLUMNS),
        dtype=str,
    )
    right = predicted[judged] == targets[judged]
    counts = {
        "labelled": len(targets), "listed": len(order), "doubtful": len(wrong), "copies": len(copies),
        "excluded": int(labelled.is_excluded.sum()), "not_judged": len(targets) - len(judged),
    }  # fmt: skip
    return Listing(rows, counts, float(right.mean()) if len(right) else float("nan"))


def _in_disagreement(labelled: Labelled) -> dict[int, int]:
    """Return the rows of copies whose group has several labels, and for each a copy with another label."""
    found: dict[int, int] = {}
    groups, targets = labelled.groups, labelled.targets
    order = np.lexsort((np.arange(len(groups)), groups))
    for rows in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        if len(rows) > 1 and len(np.unique(targets[rows])) > 1:
            for row in rows.tolist():
                found[row] = next(other for other in rows.tolist() if targets[other] != targets[row])
    return found


def _why(labelled: Labelled, copy: int | None, is_wrong: bool, predicted: int) -> str:
    reasons = []
    if copy is not None:
        reasons.append(f"same picture as {listed([labelled.table[IMAGE][copy]])} ({labelled.table[LABEL][copy]})")
    if is_wrong:
        reasons.append(f"probably {labelled.classes[predicted]}")
    return "; ".join(reasons)
