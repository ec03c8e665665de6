"""Warnings if the metadata of a checkpoint, or the scores of a whole pool, show that the margins would mean little."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from dfal_cli.models.metadata import is_head
from dfal_cli.schemas import CROSSED, UNCROSSED
from dfal_cli.system.reporting import Reporter

MANY_UNCROSSED = 0.1
"""Maximum normal share of images without a margin. For trained networks the share is 0."""

NEARLY_ALL = 0.9
"""Share of the predictions above which a single class is suspicious, unless the labels are distributed like that."""

ENOUGH_TO_JUDGE = 20
"""Minimum number of images for judging predictions: a few may well have the same class."""


def warn_unless_learnt(metadata: Mapping[str, Any], reporter: Reporter, what: str = "margins") -> None:
    """Warn if the metadata of the checkpoint say that its training failed, so that `what` it gives means little."""
    match metadata:
        case {"metrics": {"learnt": False}}:
            kind = _kind_of(metadata)
            reporter.warn(f"the {kind} was no better than guessing at the end of its training: its {what} mean little")


def judge_scores(
    predicted: Sequence[str | None],
    metadata: Mapping[str, Any],
    outcomes: Mapping[str, int],
    reasons: Mapping[str, int],
    reporter: Reporter,
) -> None:
    """Warn if the predictions or outcomes of the whole pool look wrong.

    predicted, metadata: as of `judge_predictions`. outcomes: number of images by outcome. reasons: number of uncrossed
    images by reason.
    """
    judge_predictions(Counter(predicted), metadata, reporter, "measures")
    uncrossed, tried = outcomes[UNCROSSED], outcomes[CROSSED] + outcomes[UNCROSSED]
    if uncrossed > MANY_UNCROSSED * tried:
        why = reasons_in_words(reasons)
        reporter.warn(f"{uncrossed} of {tried} images have no margin ({why}); the nearest images may be among them")


def judge_predictions(
    counts: Mapping[str | None, int], metadata: Mapping[str, Any], reporter: Reporter, what: str
) -> None:
    """Warn if the predictions of the whole pool look wrong.

    counts: number of images by predicted class; None if their logits are not finite, so that they lack `what` is
    computed. metadata: those of the checkpoint.
    """
    names = Counter({name: count for name, count in counts.items() if name is not None})
    total, known = sum(counts.values()), names.total()
    if known < total:
        reporter.warn(f"the logits of {total - known} of {total} images are not finite: these images have no {what}")
    if known >= ENOUGH_TO_JUDGE:
        _warn_of_one_class(*names.most_common(1)[0], known, metadata, reporter)


def _warn_of_one_class(name: str, count: int, known: int, metadata: Mapping[str, Any], reporter: Reporter) -> None:
    """Warn if nearly all images are predicted as the class `name`, unless nearly all labels are of that class too."""
    doubt = f"the {_kind_of(metadata)} may not have learnt anything"
    if count == known:
        reporter.warn(f"all {known} images are predicted as {name!r}: {doubt}")
    elif count >= NEARLY_ALL * known and _share_of_labels(name, metadata) < NEARLY_ALL:
        reporter.warn(f"{count:,} of {known:,} images ({100 * count / known:.0f} %) are predicted as {name!r}: {doubt}")


def _kind_of(metadata: Mapping[str, Any]) -> str:
    """Return "head" or "network", as the metadata of the checkpoint say."""
    return "head" if is_head(dict(metadata)) else "network"


def _share_of_labels(name: str, metadata: Mapping[str, Any]) -> float:
    """Return the share of the training labels that are of this class; 0 if the checkpoint does not say."""
    match metadata.get("label_counts"):
        case dict(counts) if all(type(count) is int and count >= 0 for count in counts.values()):
            return float(counts.get(name, 0) / max(1, sum(counts.values())))
    return 0.0


def reasons_in_words(reasons: Mapping[str, int]) -> str:
    """Return `3 no gradient, 1 cap reached`."""
    return ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
