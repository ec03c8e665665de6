"""Whether a network has learnt anything, by its figures on the sets of images that it is measured on."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from dfal_cli.statistics.intervals import beats_guessing, wilson_interval

UNSEEN = ("test", "validation")
"""Sets that the network was not trained on, the most independent first."""


class Evidence(NamedTuple):
    """Whether the network has learnt, and by which figures."""

    learnt: bool | None
    """None where too few images tell."""
    measured_on: str = ""
    """The set that these figures are of; "" if none speaks for or against it."""
    figures: Mapping[str, Any] | None = None
    """Its accuracy, examples, interval and largest_share."""


def evidence_in(metrics: Mapping[str, Any]) -> Evidence:
    """What the first set says that can tell: test, validation, or both together.

    Training images, which can be learnt by heart, only ever speak against it: if not even they have been fitted. Where
    nothing can tell, an unseen set that naming its largest class would be as right on is at least a bad sign.
    """
    unseen = {name: metrics[name] for name in UNSEEN if name in metrics}
    sets = {**unseen, " and ".join(unseen): _together(*unseen.values())} if len(unseen) > 1 else unseen
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
    """Of a single class, everybody is right on all images by naming it."""
    return bool(figures["accuracy"] <= figures["largest_share"] < 1)


def _together(*sets: Mapping[str, Any]) -> dict[str, Any]:
    """The figures on several sets as if on one; guessing may name another class in each, which is never worse."""
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
