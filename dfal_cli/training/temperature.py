"""The temperature of a classifier, found at the end of its training on images that it was not trained on."""

from collections.abc import Mapping
from typing import Any

from dfal_cli.statistics.calibration import calibrate
from dfal_cli.training.head import LABELS_PER_CLASS, Numbers, Targets
from dfal_cli.training.learnt import HELD_OUT

HeldOut = tuple[Numbers, Targets]
"""Logits (n, K) and classes (n,) of examples."""

MEASURED_ON = "measured_on"


def calibration_in(held_out: Mapping[str, HeldOut], cross_validated: HeldOut | None = None) -> dict[str, Any] | None:
    """Return the calibration on the most independent of the sets that have enough examples, ready for JSON, or None.

    A test set stays one: a temperature changes no prediction.

    cross_validated: takes the place of a validation set. Classifiers that lack a fifth of very few labels are less
    certain than the final one, so there must be LABELS_PER_CLASS labels per class.
    """
    sets = dict(held_out)
    if cross_validated is not None and len(cross_validated[1]) >= LABELS_PER_CLASS * cross_validated[0].shape[1]:
        sets["validation"] = cross_validated
    for name in HELD_OUT:
        if name in sets and (found := calibrate(*sets[name])):
            return {MEASURED_ON: name, **found._asdict()}
    return None
