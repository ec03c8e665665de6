"""What a training is told: the images to train on, to stop by and to test on, with their labels, and pseudo-labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from dfal_cli.class_names import slips
from dfal_cli.console import Reporter
from dfal_cli.errors import DataError
from dfal_cli.files import digest_of_many, sha256_if_there
from dfal_cli.images import ImageSource
from dfal_cli.schemas import IMAGE, LABEL, TWIN
from dfal_cli.tables import Matching, as_written, labelled_rows, read_labels_files, read_pseudo_labels, settled_images
from dfal_cli.training.examples import settle_classes


class LabelSets(NamedTuple):
    """Tables of labelled rows, as `read_labels_files` makes them; those that nobody named are empty."""

    labels: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    pseudo_labels: pd.DataFrame
    """What a network said of images that are in none of the others."""
    classes: tuple[str, ...]

    def contents(self, images: ImageSource) -> dict[str, str]:
        """SHA-256 of what each table says and of what is in the files that it names; a missing file is ""."""
        return {
            name: digest_of_many(
                (image, label, images.content_of(image), sha256_if_there(Path(twin)) if twin else "")
                for image, label, twin in zip(table[IMAGE], table[LABEL], table[TWIN], strict=True)
            )
            for name, table in self._asdict().items()
            if name != "classes"
        }


def read_label_sets(
    labels: Sequence[Path],
    validation: Sequence[Path],
    test: Sequence[Path],
    pseudo_labels: Sequence[Path],
    class_names: Sequence[str] | None,
    reporter: Reporter,
    matching: Matching = as_written,
) -> LabelSets:
    """Read the files and settle the classes, which pseudo-labels have no part in.

    Raises UsageError if a file does not exist, DataError if one is not what it should be or has no label.
    """
    files = {"labels": labels, "validation": validation, "test": test}
    told = {name: read_labels_files(paths, matching) for name, paths in files.items()}
    tables = {name: labelled_rows(table) for name, table in told.items()}
    if tables["labels"].empty:
        raise DataError(f"{labels[0]}: no image has a label yet; `dfal select --strategy random` starts a list")
    for name in ("validation", "test"):
        if files[name] and tables[name].empty:
            raise DataError(f"{files[name][0]}: no image has a label, so there is nothing to measure on (--{name})")
        _warn_of_overlap(tables["labels"], tables[name], name, reporter)
    classes = settle_classes(list(tables.values()), class_names)
    for slip in slips(classes, classes):
        reporter.warn(f"{slip}; they are trained as two classes")
    known = set[str]().union(*map(settled_images, told.values()))
    guessed, left_out = read_pseudo_labels(pseudo_labels, classes, known, matching)
    if left_out:
        reporter.note(f"{left_out} pseudo-labels are left out: their images are in --labels, --validation or --test")
    return LabelSets(**tables, pseudo_labels=guessed, classes=classes)


def _warn_of_overlap(labels: pd.DataFrame, measured: pd.DataFrame, name: str, reporter: Reporter) -> None:
    """What is measured on images that were trained on says nothing."""
    both = len(set(labels[IMAGE]) & set(measured[IMAGE]))
    if both:
        reporter.warn(f"{both} images are both in --labels and in --{name}: its accuracy says nothing of new images")
