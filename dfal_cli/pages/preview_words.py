"""What the preview page says about a query, in plain words for the person who labels."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from dfal_cli.schemas import PREDICTED
from dfal_cli.statistics.comparison import BASELINE
from dfal_cli.strategies import STRATEGIES

MARGIN = "margin"

REASONS = {
    MARGIN: "A very small change of this image would change the classifier's answer.",
    "entropy": "The classifier hesitates between classes.",
    "confidence": "The classifier is not sure of its answer.",
    "probability_gap": "The classifier finds two classes almost equally probable.",
    "bald": "The classifier's answer changes if parts of it are switched off.",
    "egl": "Whatever its label is, it would change the classifier much.",
}
"""Why an image is asked about, by the measure of the strategy."""

UNKNOWN_MARGIN = "Its margin is not known, so it comes last."


def reason(measure: str | None, row: Mapping[str, str]) -> str:
    """Return why a strategy with this measure picked the image; `row` is that of the query list."""
    if measure == MARGIN and not row[MARGIN]:
        return UNKNOWN_MARGIN
    return REASONS.get(measure or "", "")


def numbers(measure: str | None, row: Mapping[str, str]) -> list[str]:
    """Return the measure and the margin, as far as they are known, each as "name value"; none without a measure."""
    names = dict.fromkeys((measure, MARGIN)) if measure else ()
    return [f"{name.replace('_', ' ')} {float(row[name]):.4g}" for name in names if row.get(name)]


def guess(scores: Mapping[Any, Any]) -> str:
    """Return what the classifier takes the image for; `scores` is a row of a scores file. "" if it is unknown."""
    predicted, other, confidence = (scores.get(name) for name in (PREDICTED, "crossing_class", "confidence"))
    if not isinstance(predicted, str) or not predicted:
        return ""
    if isinstance(other, str) and other:
        return f"between {predicted} and {other}"
    if confidence is None or pd.isna(confidence):
        return f"probably {predicted}"
    return f"probably {predicted} ({100 * confidence:.0f} %)"


def class_guess(scores: Mapping[Any, Any]) -> str:
    """Return the guess without what tells how sure it is, which differs between random queries and the others."""
    predicted = scores.get(PREDICTED)
    return f"probably {predicted}" if isinstance(predicted, str) and predicted else ""


def order(strategy: str) -> str:
    """Describe the order of the ranks."""
    if strategy == BASELINE:
        return "in random order"
    return "best query first" if STRATEGIES[strategy].measure else "in the order of selection"
