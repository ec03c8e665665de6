"""The same picture under several names: files of equal contents."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from dfal_cli.errors import listed, shown
from dfal_cli.schemas import IMAGE, LABEL
from dfal_cli.system.reporting import Reporter
from dfal_cli.training.label_sets import LabelSets


class Named(NamedTuple):
    """A picture as a table has it."""

    image: str
    label: str
    picture: str
    """A hash of its contents; "" if that is not known, which equals nothing."""


def warn_about_duplicates(sets: LabelSets, pictures: Mapping[str, Sequence[str]], reporter: Reporter) -> None:
    """Warn of pictures that are trained on and measured on, and of those that are labelled in two ways.

    pictures: as `LabelSets.pictures` gives them. An image that is in two sets under one name is warned of elsewhere.
    """
    labelled = _named(sets.labels, pictures["labels"])
    _warn_of_contradictions(labelled, reporter)
    trained = {each.picture: each.image for each in (*_named(sets.pseudo_labels, pictures["pseudo_labels"]), *labelled)}
    names = set(sets.labels[IMAGE])
    for name in ("validation", "test"):
        measured = _named(sets.tables[name], pictures[name])
        copies = [each for each in measured if each.picture in trained and each.image not in names]
        if copies:
            reporter.warn(
                f"{len(copies)} of {len(sets.tables[name])} images in --{name} are pictures that are trained on under "
                f"another name ({listed([copies[0].image])} is {listed([trained[copies[0].picture]])}): "
                "its accuracy overstates performance on new images"
            )


def _warn_of_contradictions(labelled: Sequence[Named], reporter: Reporter) -> None:
    first: dict[str, Named] = {}
    contradicting: dict[str, tuple[Named, Named]] = {}
    for each in labelled:
        other = first.setdefault(each.picture, each)
        if other.label != each.label:
            contradicting.setdefault(each.picture, (other, each))
    if contradicting:
        one, other = next(iter(contradicting.values()))
        several = f"{len(contradicting)} pictures are" if len(contradicting) > 1 else "a picture is"
        reporter.warn(
            f"{several} in --labels under several names with different labels, such as "
            f"{listed([one.image])} ({shown(one.label)}) and {listed([other.image])} ({shown(other.label)})"
        )


def _named(table: pd.DataFrame, pictures: Sequence[str]) -> list[Named]:
    rows = zip(table[IMAGE], table[LABEL], pictures, strict=True)
    return [Named(image, label, picture) for image, label, picture in rows if picture]
