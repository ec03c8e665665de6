"""The control slices of the rounds: their estimates, and what random queries would have found."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from dfal_cli.schemas import CONTROL, IMAGE, LABEL, PREDICTED, SKIP
from dfal_cli.statistics.control import Estimate, Found, Slice, compared_with_random, pool_accuracy
from dfal_cli.statistics.stopping import Accuracy
from dfal_cli.steps.rounds import CONTROL_SLICE, INDEPENDENT, Measured, Point, Round, key_of
from dfal_cli.tables.control import is_control

RARE = 0.5
"""A class is rare if it has fewer than this share of the labels that it would have if all classes had equally many."""


class Answered(NamedTuple):
    """The answers to one round's list, as far as they are usable and the images were scored."""

    number: int
    pool: int
    """Number of images that were scored."""
    drawn: int
    """Number of control images in the list."""
    control: pd.DataFrame
    """Columns label and predicted."""
    chosen: pd.DataFrame
    """The same of the strategy's own queries."""
    before: Counter[str]
    """Class -> number of labels before the list."""

    def slice_of(self, is_counted: "pd.Series[bool]") -> Slice:
        """Return the slice, in which the control images count that are so marked."""
        return Slice(self.pool, len(self.control), int(is_counted.sum()))


class Control(NamedTuple):
    """What the control slices tell."""

    newest: Estimate | None
    """Of the newest model with answered control images alone."""
    newest_round: int
    together: Estimate | None
    """The mean over the models of all rounds with answered control images."""
    by_round: dict[int, Estimate]
    drawn: int
    answered: int
    mistakes: Found | None
    """Images that the model had wrong."""
    rare: Found | None
    """Images of classes that were rare before the list; None if there were none."""


def control_of(rounds: Sequence[Round], table: pd.DataFrame, marked: frozenset[str] = frozenset()) -> Control | None:
    """Return what the control slices tell; None if no round has one.

    table: the labels now, which count even if a list holds another answer. marked: the control images that
    the labels files name, for scores without a list beside them.
    """
    labels = {key_of(image): label for image, label in zip(table[IMAGE], table[LABEL], strict=True)}
    answered = [each for one in rounds if one.is_scored and (each := _answered(one, labels, marked)) is not None]
    if not any(each.drawn for each in answered):
        return None
    usable = [each for each in answered if len(each.control)]
    right = [each.slice_of(each.control[LABEL] == each.control[PREDICTED]) for each in usable]
    with_rare = [(each, rare) for each in usable if (rare := rare_classes(each.before))]
    return Control(
        newest=pool_accuracy(right[-1:]) if right else None,
        newest_round=usable[-1].number if usable else 0,
        together=pool_accuracy(right) if len(right) > 1 else None,
        by_round={each.number: pool_accuracy([one]) for each, one in zip(usable, right, strict=True)},
        drawn=sum(each.drawn for each in answered),
        answered=sum(len(each.control) for each in usable),
        mistakes=_found([(each, _is_mistake(each.control), _is_mistake(each.chosen)) for each in usable]),
        rare=_found([(one, one.control[LABEL].isin(rare), one.chosen[LABEL].isin(rare)) for one, rare in with_rare]),
    )


def curve_of(rounds: Sequence[Round], control: Control | None) -> list[Point]:
    """Return the accuracy of each round by number of labels, all of one kind, which no strategy has chosen.

    The kind is the first of INDEPENDENT that the last measured round has.
    """
    found: dict[str, list[Point]] = {kind: [] for kind in INDEPENDENT}
    for each in rounds:
        measured = each.measured
        if control and (estimate := control.by_round.get(each.number)):
            accuracy = Accuracy(estimate.share, estimate.interval, estimate.images)
            measured = [*measured, Measured(CONTROL_SLICE, accuracy)]
        for one in measured:
            if one.kind in found and each.labelled is not None:
                found[one.kind].append(Point(each.labelled, one))
    newest = max((points[-1].labels for points in found.values() if points), default=None)
    return next((points for points in found.values() if points and points[-1].labels == newest), [])


def rare_classes(counts: Mapping[str, int]) -> list[str]:
    """Return the classes that have few labels, the rarest first."""
    even = sum(counts.values()) / max(1, len(counts))
    few = [name for name, count in counts.items() if count < RARE * even]
    return sorted(few, key=lambda name: (counts[name], name))


def _is_mistake(answers: pd.DataFrame) -> "pd.Series[bool]":
    return answers[LABEL] != answers[PREDICTED]


def _answered(one: Round, labels: Mapping[str, str], marked: frozenset[str]) -> Answered | None:
    scored = one.scores_of([*labels, *(() if one.queries is None else one.queries.index)])
    if one.queries is not None:
        listed = one.queries
        drawn = is_control(listed)
        now = [labels.get(str(key)) or label for key, label in listed[LABEL].items()]
        answers = pd.Series(now, listed.index, dtype=str)
    else:
        keys = [key for key in labels if key in scored.index]
        answers = pd.Series([labels[key] for key in keys], pd.Index(keys, name="key"), dtype=str)
        drawn = pd.Series([key in marked for key in keys], answers.index, dtype=bool)
    asked = set(answers.index)
    before = Counter(label for key, label in labels.items() if key not in scored.index and key not in asked)
    usable = (answers.str.strip() != "") & (answers != SKIP) & answers.index.isin(scored.index)
    table = pd.DataFrame({LABEL: answers, CONTROL: drawn})[usable]
    table = table.assign(**{PREDICTED: scored[PREDICTED].reindex(table.index)})
    control, chosen = table[table[CONTROL]], table[~table[CONTROL]]
    before.pop(SKIP, None)
    return Answered(one.number, len(one.scores), int(drawn.sum()), control, chosen, before)


def _found(rounds: "Sequence[tuple[Answered, pd.Series[bool], pd.Series[bool]]]") -> Found | None:
    """Compare what was found; rounds: answers, which control images count, and which chosen ones count."""
    rounds = [each for each in rounds if len(each[2])]
    if not rounds:
        return None
    chosen = [(int(found.sum()), len(found)) for _, _, found in rounds]
    return compared_with_random(chosen, [each.slice_of(is_counted) for each, is_counted, _ in rounds])


def marked_images(tables: Sequence[pd.DataFrame]) -> frozenset[str]:
    """Return the control images that labels tables name."""
    return frozenset(key_of(image) for table in tables for image in table.loc[is_control(table), IMAGE])
