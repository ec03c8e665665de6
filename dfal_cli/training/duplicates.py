"""Warnings about duplicate images: files with equal contents under several names."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from dfal_cli.errors import listed, plural, shown
from dfal_cli.schemas import IMAGE, LABEL
from dfal_cli.system.reporting import Reporter
from dfal_cli.training.label_sets import LabelSets


class HashedImage(NamedTuple):
    """A row of a labels table, with a hash of the contents of the image file."""

    image: str
    label: str
    content_hash: str


def warn_about_duplicates(sets: LabelSets, content_hashes: Mapping[str, Sequence[str]], reporter: Reporter) -> None:
    """Warn of images with several labels, and of validation and test images that are also trained on.

    Only duplicates under different names count here; `read_label_sets` warns of names that are in two sets.
    content_hashes: the result of `LabelSets.content_hashes`.
    """
    labelled = _hashed(sets.labels, content_hashes["labels"])
    _warn_of_contradictions(labelled, reporter)
    pseudo_labelled = _hashed(sets.pseudo_labels, content_hashes["pseudo_labels"])
    trained = {each.content_hash: each.image for each in (*pseudo_labelled, *labelled)}
    names = set(sets.labels[IMAGE])
    for name in ("validation", "test"):
        measured = _hashed(sets.tables[name], content_hashes[name])
        copies = [each for each in measured if each.content_hash in trained and each.image not in names]
        if copies:
            copy = copies[0]
            reporter.warn(
                f"{len(copies)} of {len(sets.tables[name])} images in --{name} "
                f"{plural(len(copies), 'is a copy', 'are copies')} of training images "
                f"({listed([copy.image])} equals {listed([trained[copy.content_hash]])}): "
                "the accuracy overstates performance on new images"
            )


def _warn_of_contradictions(labelled: Sequence[HashedImage], reporter: Reporter) -> None:
    first: dict[str, HashedImage] = {}
    contradicting: dict[str, tuple[HashedImage, HashedImage]] = {}
    for each in labelled:
        other = first.setdefault(each.content_hash, each)
        if other.label != each.label:
            contradicting.setdefault(each.content_hash, (other, each))
    if contradicting:
        one, other = next(iter(contradicting.values()))
        several = f"{len(contradicting)} {plural(len(contradicting), 'image is', 'images are')}"
        pair = f"{listed([one.image])} ({shown(one.label)}) and {listed([other.image])} ({shown(other.label)})"
        reporter.warn(f"{several} in --labels under several names with different labels: {pair} are identical")


def _hashed(table: pd.DataFrame, content_hashes: Sequence[str]) -> list[HashedImage]:
    """The rows whose hash is known; an unknown one, "", equals nothing."""
    rows = zip(table[IMAGE], table[LABEL], content_hashes, strict=True)
    return [HashedImage(image, label, content_hash) for image, label, content_hash in rows if content_hash]
