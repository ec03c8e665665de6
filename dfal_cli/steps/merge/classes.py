"""Answers that name a new class, which is more often a typing error than a class."""

from collections.abc import Callable, Iterator

import pandas as pd

from dfal_cli.errors import listed, shown
from dfal_cli.schemas import LABEL, SKIP
from dfal_cli.steps.merge.options import MergeOptions
from dfal_cli.steps.merge.problems import Location, Problem
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import labelled_rows, location_of
from dfal_cli.tables.class_names import (
    did_you_mean,
    is_misspelt_skip,
    means_no_answer,
    normalised,
    similar_class_pairs,
    spelling_difference,
)

NAME_IT = "if it is a class, name it with --class-names"


def known_classes(options: MergeOptions, labels: pd.DataFrame) -> set[str]:
    """The class names that are accepted as spelled: those of the labels file and of --class-names."""
    return {*labelled_rows(labels)[LABEL], *(options.class_names or ())}


def new_classes(answers: pd.DataFrame, known: set[str]) -> "pd.Series[str]":
    """The first answer of each class that is not known, indexed by row."""
    answered = answers.loc[answers[LABEL] != SKIP, LABEL].drop_duplicates()
    return answered[~answered.isin(list(known))]


def class_problems(
    options: MergeOptions, new: "pd.Series[str]", known: set[str], labels: pd.DataFrame, location: Location
) -> Iterator[Problem]:
    """Yield the new classes that look like typing errors or are not allowed."""
    spellings = {normalised(name): name for name in sorted(known, reverse=True)}
    rows = {label: row for row, label in new.items()}
    allowed = options.allow_new_classes or not known

    def location_of_class(name: str) -> str:
        if name in rows:
            return location(rows[name])
        found = labels.index[labels[LABEL] == name]
        return location_of(options.labels, found[0]) if len(found) else "--class-names"

    for row, label in new.items():
        other = spellings.setdefault(normalised(label), label)
        if is_misspelt_skip(label):
            yield Problem(row, f"{shown(label)}: did you mean {SKIP!r}? It must be spelled exactly; {NAME_IT}", label)
        elif other != label:
            yield Problem(row, _differs(label, other, location_of_class), label)
        elif means_no_answer(label):
            yield Problem(row, _no_answer(label), label)
        elif not allowed:
            yield Problem(row, _not_allowed(label, known), label)


def warn_of_similar_classes(new: "pd.Series[str]", known: set[str], reporter: Reporter) -> None:
    """Warn of new classes that differ from another class by a letter or two: they may be typing errors."""
    for label, other in similar_class_pairs(list(new), known):
        reporter.warn(f"new class {shown(label)}; did you mean {shown(other)}?")


def _differs(label: str, other: str, location_of_class: Callable[[str], str]) -> Callable[[], str]:
    return lambda: (
        f"{shown(label)} is a new class that differs from {shown(other)} only in {spelling_difference(label, other)} "
        f"(see {location_of_class(other)}); correct one of them, or name both with --class-names"
    )


def _no_answer(label: str) -> str:
    return (
        f"{shown(label)} usually means that there is no answer; leave the label blank to be asked again, "
        f"or write {SKIP} to exclude the image; {NAME_IT}"
    )


def _not_allowed(label: str, known: set[str]) -> Callable[[], str]:
    return lambda: (
        f"{shown(label)} is a new class"
        f"{did_you_mean(label, {*known, SKIP}) or f'; the known classes are {listed(sorted(known))}'}; "
        "correct it, or allow it with --class-names or --allow-new-classes"
    )
