"""Settles several answers to one image: of two people, of one person twice, or of one file named twice."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from dfal_cli.errors import DataError, plural, shown
from dfal_cli.schemas import IMAGE, LABEL

PLACE, TIME = "place", "time"

Row = Mapping[Hashable, Any]
"""An answer: image, label, place and time."""


def _newest(answers: Sequence[Row]) -> str:
    """Return the newest label; "" if there are no times, or if two labels are equally new."""
    last = max(each[TIME] for each in answers)
    newest = {each[LABEL] for each in answers if each[TIME] == last}
    return str(newest.pop()) if last and len(newest) == 1 else ""


def _majority(answers: Sequence[Row]) -> str:
    """Return the most frequent label; "" if two are equally frequent."""
    (label, most), *others = Counter(each[LABEL] for each in answers).most_common(2)
    return "" if any(count == most for _, count in others) else str(label)


SETTLING: dict[str, Callable[[Sequence[Row]], str]] = {"newest": _newest, "majority": _majority}
"""Rule -> the label that counts among differing answers to an image; "" if the rule cannot tell."""


def settled(answers: pd.DataFrame, rule: str = "") -> tuple[pd.DataFrame, int]:
    """Return one row per image, the first with the label that counts, and the number of images that had several labels.

    answers: the columns image, label (none blank), place (for messages) and time. rule: a key of SETTLING; "" for none.
    Raises DataError with both labels if answers differ and the rule does not settle them.
    """
    several = answers[answers[IMAGE].duplicated(keep=False)]
    differing = [rows for _, rows in several.groupby(IMAGE, sort=False) if rows[LABEL].nunique() > 1]
    if not differing:
        return answers.drop_duplicates(IMAGE), 0
    chosen = {rows[IMAGE].iloc[0]: _chosen(rows, rule) for rows in differing}
    unsettled = [rows for rows in differing if not chosen[rows[IMAGE].iloc[0]]]
    if unsettled:
        raise DataError(_conflict(unsettled, rule))
    counts = [chosen.get(image, label) == label for image, label in zip(answers[IMAGE], answers[LABEL], strict=True)]
    return answers[counts].drop_duplicates(IMAGE), len(differing)


def _chosen(rows: pd.DataFrame, rule: str) -> str:
    return SETTLING[rule](rows.to_dict("records")) if rule else ""


def _conflict(unsettled: Sequence[pd.DataFrame], rule: str) -> str:
    rows, more = unsettled[0], len(unsettled) - 1
    first, *others = _different(rows.to_dict("records"))
    said = ", ".join(f"{shown(row[LABEL])} in {row[PLACE]}" for row in others)
    like_this = f" ({more} more {plural(more, 'image')} like this)" if more else ""
    remedy = f"{rule} does not settle it" if rule else "choose with `dfal merge --on-conflict newest` or `majority`"
    image, label = shown(first[IMAGE]), shown(first[LABEL])
    return f"{first[PLACE]}: image {image} is {label} here and {said}{like_this}; {remedy}"


def _different(rows: Iterable[Row]) -> Iterable[Row]:
    """Return the first row of each label."""
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row[LABEL], row)
    return first.values()
