"""The label tables of a training: training, validation and test labels, and pseudo-labels."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from dfal_cli.errors import DataError, listed, plural
from dfal_cli.schemas import IMAGE, LABEL, SKIP, TWIN
from dfal_cli.system.fingerprints import digest_of_many, sha256_or_empty
from dfal_cli.system.image_roots import ImageRoot
from dfal_cli.system.reporting import Reporter
from dfal_cli.system.threads import answers
from dfal_cli.tables import (
    ImageNames,
    NameMatcher,
    answered_images,
    labelled_rows,
    labels_from_folders,
    read_labels_files,
    read_pseudo_labels,
)
from dfal_cli.tables.class_names import class_name_warnings
from dfal_cli.training.classes import check_unknown_classes, choose_classes, unknown_classes
from dfal_cli.training.labelled_rows import unusable_row


class LabelSets(NamedTuple):
    """Tables of labelled rows, as `read_labels_files` returns them; empty for options that are not given."""

    labels: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    pseudo_labels: pd.DataFrame
    """Labels that a network predicted, of images that are in none of the other tables."""
    classes: tuple[str, ...]
    """The trained classes, in the order of the logits."""

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables, by the names of the options."""
        return {name: table for name, table in self._asdict().items() if name != "classes"}

    def classes_in(self, name: str) -> tuple[str, ...]:
        """Return the trained classes, followed by those that only this table has."""
        return (*self.classes, *unknown_classes(self.tables[name], self.classes))

    def content_hashes(self, content_hash: Callable[[str], str], reporter: Reporter) -> dict[str, list[str]]:
        """Hash the contents of the images of each table, in the order of its rows; "" where they are unknown."""
        with reporter.progress("hashing", sum(map(len, self.tables.values())), "images") as progress:
            return {
                name: list(progress.over(answers(content_hash, table[IMAGE]))) for name, table in self.tables.items()
            }

    def digests(self, content_hashes: Mapping[str, Sequence[str]]) -> dict[str, str]:
        """Return a SHA-256 per table of its rows, image contents and twin contents; a missing file counts as ""."""
        return {name: digest_of_table(table, content_hashes[name]) for name, table in self.tables.items()}


def digest_of_table(table: pd.DataFrame, content_hashes: Sequence[str]) -> str:
    """Return a SHA-256 of the rows of a table, their image contents and twin contents."""
    rows = zip(table[IMAGE], table[LABEL], content_hashes, table[TWIN], strict=True)
    return digest_of_many(
        (image, label, content_hash, sha256_or_empty(Path(twin)) if twin else "")
        for image, label, content_hash, twin in rows
    )


def read_label_sets(
    labels: Sequence[Path],
    validation: Sequence[Path],
    test: Sequence[Path],
    pseudo_labels: Sequence[Path],
    class_names: Sequence[str] | None,
    reporter: Reporter,
    names: ImageNames,
    from_folders: pd.DataFrame | None = None,
) -> LabelSets:
    """Read the labels files and choose the classes: `class_names`, or the classes of the training labels.

    from_folders: replaces `labels`, without the validation and test images.
    Missing training images are left out with a warning; the validation and test tables keep all their rows.

    Raises UsageError if a file does not exist. Raises DataError if a file is invalid or has no label.
    """
    files = {"labels": labels, "validation": validation, "test": test}
    matched = names.matched(
        lambda missing: reporter.warn(f"{missing}; training leaves them out"), tell=reporter.note, doubt=reporter.warn
    )
    measured = NameMatcher(names, tell=reporter.note, doubt=reporter.warn)
    read = {name: read_labels_files(paths, matched if name == "labels" else measured) for name, paths in files.items()}
    if from_folders is not None:
        read["labels"] = _without_measured(from_folders, read, reporter)
    tables = {name: labelled_rows(table) for name, table in read.items()}
    tables["labels"] = _existing_with_all_classes(tables["labels"], names, reporter)
    if tables["labels"].empty:
        raise DataError(
            f"{labels[0]}: no image has a label yet; choose images to label with `dfal select --strategy random`"
        )
    for name in ("validation", "test"):
        if files[name] and tables[name].empty:
            raise DataError(f"{files[name][0]}: no image has a label; --{name} needs labelled images")
        _warn_of_overlap(tables["labels"], tables[name], name, reporter)
    classes = choose_classes(tables["labels"], class_names)
    for doubt in class_name_warnings(classes) if class_names is None else ():
        reporter.warn(doubt)
    for name in ("validation", "test"):
        check_unknown_classes(tables[name], classes, name, reporter, classes_are_named=class_names is not None)
    answered = set[str]().union(*map(answered_images, read.values()))
    pseudo_labelled, left_out = read_pseudo_labels(pseudo_labels, classes, answered, matched)
    if left_out:
        reporter.note(
            f"training leaves out {left_out} {plural(left_out, 'pseudo-label')} of images "
            "in --labels, --validation or --test"
        )
    return LabelSets(**tables, pseudo_labels=_existing(pseudo_labelled, names), classes=classes)


def check_images_exist(
    names: ImageNames, tables: Iterable[pd.DataFrame], reason: str = "no such file", remedy: str = "restore"
) -> None:
    """Raise DataError if an image of these tables is missing: on fewer test images an accuracy is another measure."""
    rows = pd.concat(list(tables), ignore_index=True)
    missing = rows[~_exist(rows, names)]
    if missing.empty:
        return
    them = "it"
    if len(missing) > 1:
        reason, them = f"{reason} ({len(missing)} images are missing: {listed(missing[IMAGE])})", "them"
    raise unusable_row(names, missing.iloc[0], reason, f"{remedy} {them}, or label {them} {SKIP}")


def folder_labels(root: ImageRoot, images: Iterable[str], reporter: Reporter) -> pd.DataFrame:
    """Label each image by its folder, in a table as of `read_labels_files`. Raises DataError if there is no folder.

    root: the image root, or the embeddings file that names the images.
    """
    table, left_out = labels_from_folders(root, images)
    if left_out:
        reporter.warn(left_out)
    if table.empty:
        raise DataError(f"{root}: has no folders of images; --labels-from-folders uses their names as classes")
    return table


def _existing(table: pd.DataFrame, names: ImageNames) -> pd.DataFrame:
    return table[_exist(table, names)].reset_index(drop=True)


def _existing_with_all_classes(table: pd.DataFrame, names: ImageNames, reporter: Reporter) -> pd.DataFrame:
    """Return the rows of images that exist; warn of classes that have lost all of theirs."""
    existing = _existing(table, names)
    lost = sorted(set(table[LABEL]) - set(existing[LABEL]))
    if lost and not existing.empty:
        classes, they = plural(len(lost), "class", "classes"), plural(len(lost), "it is", "they are")
        gone = f"no image of the {classes} {listed(lost)} is {names.place} any more"
        reporter.warn(f"{gone}; {they} not trained, and never predicted")
    return existing


def _exist(table: pd.DataFrame, names: ImageNames) -> "pd.Series[bool]":
    return table[IMAGE].map(names.is_there).astype(bool)  # an empty column would be text otherwise


def _without_measured(table: pd.DataFrame, measured: Mapping[str, pd.DataFrame], reporter: Reporter) -> pd.DataFrame:
    """Return the table without the images of the validation and test tables."""
    measured_images = set[str]().union(*map(answered_images, measured.values()))
    left = table[~table[IMAGE].isin(measured_images)].reset_index(drop=True)
    if left.empty:
        raise DataError("--labels-from-folders: all images are in --validation or --test; none are left to train on")
    if len(left) < len(table):
        measured_too = len(table) - len(left)
        reporter.note(f"training leaves out {measured_too} {plural(measured_too, 'image')} in --validation or --test")
    return left


def _warn_of_overlap(labels: pd.DataFrame, measured: pd.DataFrame, name: str, reporter: Reporter) -> None:
    both = len(set(labels[IMAGE]) & set(measured[IMAGE]))
    if both:
        reporter.warn(
            f"{both} {plural(both, 'image is', 'images are')} in --labels and in --{name}: "
            "the accuracy overstates performance on new images"
        )
