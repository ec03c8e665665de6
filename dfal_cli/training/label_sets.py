"""What a training is told: the images to train on, to stop by and to test on, with their labels, and pseudo-labels."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from dfal_cli.errors import DataError, listed
from dfal_cli.images import ImageSource
from dfal_cli.images.pool import image_names, report_unread
from dfal_cli.schemas import IMAGE, LABEL, SKIP, TWIN
from dfal_cli.system.fingerprints import digest_of_many, sha256_or_empty
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import (
    ImageNames,
    answered_images,
    labelled_rows,
    labels_from_folders,
    read_labels_files,
    read_pseudo_labels,
)
from dfal_cli.tables.class_names import class_name_warnings, likely_typos
from dfal_cli.training.classes import check_labels, choose_classes
from dfal_cli.training.examples import unreadable_row


class LabelSets(NamedTuple):
    """Tables of labelled rows, as `read_labels_files` makes them; those that nobody named are empty."""

    labels: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    pseudo_labels: pd.DataFrame
    """What a network said of images that are in none of the others."""
    classes: tuple[str, ...]

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """All of them, by the names of the options."""
        return {name: table for name, table in self._asdict().items() if name != "classes"}

    def classes_in(self, name: str) -> tuple[str, ...]:
        """The classes, followed by those that only this table has: the network has no output for them."""
        return (*self.classes, *_strange(self.tables[name], self.classes))

    def pictures(self, images: ImageSource, reporter: Reporter) -> dict[str, list[str]]:
        """What is in the image files of each table, in the order of its rows: a hash; "" where that is not known."""
        with reporter.progress("hashing", sum(map(len, self.tables.values())), "images") as progress:
            return {
                name: [images.content_hash(image) for image in progress.over(table[IMAGE])]
                for name, table in self.tables.items()
            }

    def contents(self, pictures: Mapping[str, Sequence[str]]) -> dict[str, str]:
        """SHA-256 of what each table says and of what is in the files that it names; a missing file is ""."""
        return {
            name: digest_of_many(
                (image, label, picture, sha256_or_empty(Path(twin)) if twin else "")
                for image, label, twin, picture in zip(
                    table[IMAGE], table[LABEL], table[TWIN], pictures[name], strict=True
                )
            )
            for name, table in self.tables.items()
        }


def read_label_sets(
    labels: Sequence[Path],
    validation: Sequence[Path],
    test: Sequence[Path],
    pseudo_labels: Sequence[Path],
    class_names: Sequence[str] | None,
    reporter: Reporter,
    names: ImageNames,
    of_folders: pd.DataFrame | None = None,
) -> LabelSets:
    """Read the files and settle the classes: those of the labels to train on, unless they are named.

    of_folders: what to train on in place of `labels`, except for what is measured on.
    Images to train on that are not there are left out with a warning; a test or validation set keeps all its rows.

    Raises UsageError if a file does not exist, DataError if one is not what it should be or has no label.
    """
    files = {"labels": labels, "validation": validation, "test": test}
    matched = names.matched(lambda missing: reporter.warn(f"{missing}; they do not train"))
    told = {
        name: read_labels_files(paths, matched if name == "labels" else names.renamed) for name, paths in files.items()
    }
    if of_folders is not None:
        told["labels"] = _without_measured(of_folders, told, reporter)
    tables = {name: labelled_rows(table) for name, table in told.items()}
    tables["labels"] = _of_images_there(tables["labels"], names)
    if tables["labels"].empty:
        raise DataError(f"{labels[0]}: no image has a label yet; `dfal select --strategy random` starts a list")
    for name in ("validation", "test"):
        if files[name] and tables[name].empty:
            raise DataError(f"{files[name][0]}: no image has a label, so there is nothing to measure on (--{name})")
        _warn_of_overlap(tables["labels"], tables[name], name, reporter)
    classes = choose_classes(tables["labels"], class_names)
    for doubt in class_name_warnings(classes) if class_names is None else ():
        reporter.warn(doubt)
    for name in ("validation", "test"):
        _see_to_strange_classes(tables[name], classes, name, reporter, are_all_named=class_names is not None)
    known = set[str]().union(*map(answered_images, told.values()))
    guessed, left_out = read_pseudo_labels(pseudo_labels, classes, known, matched)
    if left_out:
        reporter.note(f"{left_out} pseudo-labels are left out: their images are in --labels, --validation or --test")
    return LabelSets(**tables, pseudo_labels=_of_images_there(guessed, names), classes=classes)


def check_images_exist(images: ImageSource, measured_on: Iterable[pd.DataFrame]) -> None:
    """Raises DataError if images to measure on are not there: fewer of them would make another measurement."""
    named = pd.concat(list(measured_on), ignore_index=True)
    missing = named[~_are_there(named, image_names(images))]
    if missing.empty:
        return
    reason, them = "no such file", "it"
    if len(missing) > 1:
        reason, them = f"{reason} ({len(missing)} images are not there: {listed(missing[IMAGE])})", "them"
    raise unreadable_row(images, missing.iloc[0], reason, f"restore {them}, or label {them} {SKIP}")


def folder_labels(images: ImageSource, reporter: Reporter) -> pd.DataFrame:
    """The labels that the folders of the images give, as `read_labels_files` makes them. Raises DataError if none."""
    listing = images.listing()
    report_unread(images.root, listing, reporter)
    table, left_out = labels_from_folders(images.root, listing.images)
    if left_out:
        reporter.warn(left_out)
    if table.empty:
        raise DataError(f"{images.root}: holds no folder of images, so there are no classes (--labels-from-folders)")
    return table


def _of_images_there(table: pd.DataFrame, names: ImageNames) -> pd.DataFrame:
    return table[_are_there(table, names)].reset_index(drop=True)


def _are_there(table: pd.DataFrame, names: ImageNames) -> "pd.Series[bool]":
    return table[IMAGE].map(names.is_there).astype(bool)  # of an empty column it would be text


def _without_measured(of_folders: pd.DataFrame, told: Mapping[str, pd.DataFrame], reporter: Reporter) -> pd.DataFrame:
    measured = set[str]().union(*map(answered_images, told.values()))
    left = of_folders[~of_folders[IMAGE].isin(measured)].reset_index(drop=True)
    if left.empty:
        raise DataError("--labels-from-folders: all images are in --validation or --test, and none is left to train on")
    if len(left) < len(of_folders):
        reporter.note(f"{len(of_folders) - len(left)} images are in --validation or --test and do not train")
    return left


def _warn_of_overlap(labels: pd.DataFrame, measured: pd.DataFrame, name: str, reporter: Reporter) -> None:
    """What is measured on images that were trained on says nothing."""
    both = len(set(labels[IMAGE]) & set(measured[IMAGE]))
    if both:
        reporter.warn(
            f"{both} images are both in --labels and in --{name}: its accuracy overstates performance on new images"
        )


def _see_to_strange_classes(
    table: pd.DataFrame, classes: Sequence[str], name: str, reporter: Reporter, *, are_all_named: bool
) -> None:
    """Warn of images that nobody can be right on, since nothing of their class is trained on.

    Raises DataError if the classes have all been named, or if there are no other images to choose an epoch by.
    """
    if are_all_named:
        check_labels(table, classes)
    strange = _strange(table, classes)
    if not strange:
        return
    count = int(table[LABEL].isin(strange).sum())
    if count == len(table) and name == "validation":
        raise DataError(f"{table['file'][0]}: no image is of a class that --labels has: {listed(classes)} (--{name})")
    reporter.warn(
        f"{count} of {len(table)} images in --{name} are of classes that no image in --labels has "
        f"({listed(strange)}): they count as wrong"
    )
    for slip in likely_typos(strange, (*classes, *strange)):
        reporter.warn(f"--{name}: {slip}")


def _strange(table: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    return sorted(set(table[LABEL]) - set(classes))
