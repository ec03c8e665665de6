"""Answers that name a class nobody has used before: more often a slip than a discovery."""

from collections.abc import Callable, Iterator

import pandas as pd

from dfal_cli.errors import listed, shown
from dfal_cli.schemas import LABEL, SKIP
from dfal_cli.steps.merge.options import MergeOptions
from dfal_cli.steps.merge.problems import Problem, Where
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
    """The spellings that are beyond doubt: those of labels.csv and of --class-names."""
    return {*labelled_rows(labels)[LABEL], *(options.class_names or ())}


def new_classes(answers: pd.DataFrame, known: set[str]) -> "pd.Series[str]":
    """The first answer of each class that is not known, by row."""
    answered = answers.loc[answers[LABEL] != SKIP, LABEL].drop_duplicates()
    return answered[~answered.isin(list(known))]


def class_problems(
    options: MergeOptions, new: "pd.Series[str]", known: set[str], labels: pd.DataFrame, where: Where
) -> Iterator[Problem]:
    """The new classes that are slips, or that may not be new."""
    alike = {normalised(name): name for name in sorted(known, reverse=True)}
    rows = {label: row for row, label in new.items()}
    allowed = options.allow_new_classes or not known

    def spelt_in(other: str) -> str:
        if other in rows:
            return where(rows[other])
        stands = labels.index[labels[LABEL] == other]
        return location_of(options.labels, stands[0]) if len(stands) else "--class-names"

    for row, label in new.items():
        other = alike.setdefault(normalised(label), label)
        if is_misspelt_skip(label):
            yield Problem(row, f"{shown(label)}: did you mean {SKIP!r}? It is spelt exactly so; {NAME_IT}", label)
        elif other != label:
            yield Problem(row, _differs(label, other, spelt_in), label)
        elif means_no_answer(label):
            yield Problem(row, _no_answer(label), label)
        elif not allowed:
            yield Problem(row, _not_allowed(label, known), label)


def warn_of_look_alikes(new: "pd.Series[str]", known: set[str], reporter: Reporter) -> None:
    """A letter or two make a class of its own, or a typing slip: nobody can tell but the person."""
    for label, other in similar_class_pairs(list(new), known):
        reporter.warn(f"new class {shown(label)}; did you mean {shown(other)}?")


def _differs(label: str, other: str, spelt_in: Callable[[str], str]) -> Callable[[], str]:
    return lambda: (
        f"{shown(label)} is a new class that differs from {shown(other)} only in {spelling_difference(label, other)} "
        f"(see {spelt_in(other)}); correct one of them, or name both with --class-names"
    )


def _no_answer(label: str) -> str:
    return (
        f"{shown(label)} mostly says that there is no answer; leave the label blank to be asked again, "
        f"or write {SKIP} to be asked no more; {NAME_IT}"
    )


def _not_allowed(label: str, known: set[str]) -> Callable[[], str]:
    return lambda: (
        f"{shown(label)} is a new class{did_you_mean(label, {*known, SKIP}) or f' beside {listed(sorted(known))}'}; "
        "correct it, or allow it with --class-names or --allow-new-classes"
    )
