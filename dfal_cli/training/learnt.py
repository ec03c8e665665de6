"""Whether a network has learnt anything, judged by its metrics on the training, validation and test images."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from dfal_cli.statistics.intervals import beats_guessing, wilson_interval

HELD_OUT = ("test", "validation")
"""Sets that the network was not trained on, the most independent first."""


CROSS_VALIDATION, SPLIT, FILE = "cross-validation", "split", "file"
"""What the validation accuracy is measured on ("validation_from"): each labelled image, by a classifier trained on
others; labelled images that were not trained on; or the images of --validation.
"""


class Evidence(NamedTuple):
    """Whether the network has learnt, and the metrics that show it."""

    learnt: bool | None
    """None if there are too few images to tell."""
    measured_on: str = ""
    """The set that the metrics belong to; "" if no set is evidence for or against."""
    figures: Mapping[str, Any] | None = None
    """Accuracy, examples, interval and largest_share on that set."""


def evidence_in(metrics: Mapping[str, Any]) -> Evidence:
    """Compare the network with always predicting the largest class, on the first conclusive set.

    The sets are tried in this order: test, validation, both together. Training images can be memorised, so they are
    evidence only against a network that fails to fit even them. If no set is conclusive, a held-out set on which the
    network is no better than its largest class is returned as a bad sign, with `learnt` None.
    """
    held_out = {name: metrics[name] for name in HELD_OUT if name in metrics}
    sets = {**held_out, " and ".join(held_out): _pooled(*held_out.values())} if len(held_out) > 1 else held_out
    for name, figures in sets.items():
        learnt = _beats_guessing(figures)
        if learnt is not None:
            return Evidence(learnt, name, figures)
    if _beats_guessing(metrics["training"]) is False:
        return Evidence(False, "training", metrics["training"])
    bad_signs = (Evidence(None, name, figures) for name, figures in sets.items() if _is_bad_sign(figures))
    return next(bad_signs, Evidence(None))


def _beats_guessing(figures: Mapping[str, Any]) -> bool | None:
    return beats_guessing(figures["accuracy"], figures["examples"], figures["largest_share"])


def _is_bad_sign(figures: Mapping[str, Any]) -> bool:
    """No better than the largest class; a set of a single class is no sign, as its accuracy can be no better."""
    return bool(figures["accuracy"] <= figures["largest_share"] < 1)


def _pooled(*sets: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics on the union of several sets.

    The largest share is an upper bound: the sets may have different largest classes.
    """
    examples = sum(figures["examples"] for figures in sets)
    accuracy, largest_share = (
        sum(figures[share] * figures["examples"] for figures in sets) / examples
        for share in ("accuracy", "largest_share")
    )
    return {
        "accuracy": accuracy,
        "examples": examples,
        "interval": wilson_interval(accuracy, examples),
        "largest_share": largest_share,
    }
