"""The inputs of a simulation: the oracle, the test set and the runs, checked before anything is written."""

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pandas as pd

from dfal_cli.errors import DataError, UsageError, listed, shown
from dfal_cli.images import (
    ImageError,
    Probe,
    Shape,
    Skipped,
    common_shape,
    list_images,
    probe_image,
    resolve_image,
)
from dfal_cli.images.pool import unreadable_in_words
from dfal_cli.schemas import IMAGE, LABEL, SKIP
from dfal_cli.statistics.comparison import MeasuredOn
from dfal_cli.steps.simulate.options import SimulateOptions
from dfal_cli.steps.simulate.runs import Run
from dfal_cli.system.files import is_file
from dfal_cli.tables import ImageNames, labelled_rows, labels_from_folders, location_of, read_labels_files
from dfal_cli.training.defaults import fill_defaults


class Inputs(NamedTuple):
    """The oracle and the test set, as tables of labelled rows, and the runs in the order of the results."""

    oracle: pd.DataFrame
    test: pd.DataFrame
    runs: list[Run]
    shortfall: str
    """Says that the oracle has fewer images than the budget; "" if it has enough."""
    skipped: Skipped
    left_out: Sequence[str] = ()
    """Warnings about images of the oracle that are missing, have no class or cannot be read."""

    @property
    def images(self) -> list[str]:
        """All images of the oracle and the test set, sorted."""
        return sorted([*self.oracle[IMAGE], *self.test[IMAGE]])

    @property
    def classes(self) -> list[str]:
        """The classes of the oracle, sorted."""
        return sorted(set(self.oracle[LABEL]))

    @property
    def measured_on(self) -> MeasuredOn:
        """The size of the test set and of its largest class."""
        return MeasuredOn(len(self.test), int(self.test[LABEL].value_counts().iloc[0]))

    @property
    def strategies(self) -> list[str]:
        """The strategies, in the order of the options."""
        return list(dict.fromkeys(run.name for run in self.runs))


def read_inputs(options: SimulateOptions) -> Inputs:
    """Read and check the oracle and the test set. Raises UsageError or DataError if they are invalid."""
    images, unreadable, skipped = list_images(options.images, follow_links=options.follow_links)
    listed_images = {*images, *(image for image, _ in unreadable)}  # unreadable images are reported when they are read
    names = ImageNames(
        options.images,
        lambda image: image in listed_images or _is_unlisted_file(options.images, image),
        lambda: listed_images,
    )
    left_out: list[str] = []
    oracle = labelled_rows(read_labels_files(options.labels, names.matched(left_out.append)))
    oracle = oracle[oracle[IMAGE].map(names.is_there).astype(bool)].reset_index(drop=True)
    test = labelled_rows(read_labels_files(options.test, names.renamed))
    if options.labels_from_folders:
        folder_labels, without_class = labels_from_folders(options.images, images)
        unread = f"{options.images}: {unreadable_in_words(unreadable)}" if unreadable else ""
        left_out += filter(None, (without_class, unread))
        oracle = labelled_rows(folder_labels[~_within(folder_labels[IMAGE], test[IMAGE])])
    _check_tables(options, oracle, test, names)
    if options.initial >= len(oracle):
        raise UsageError(
            f"--initial {options.initial}: the oracle ({_files(oracle)}) has only {len(oracle)} images; "
            "choose a smaller number"
        )
    runs = [Run(name, trial) for trial, name in itertools.product(range(1, options.trials + 1), options.strategy_names)]
    return Inputs(oracle, test, runs, _shortfall(options, len(oracle)), skipped, left_out)


PROBED_IMAGES = 100
"""Number of images of the oracle that decide the defaults of the training options."""


def with_defaults(options: SimulateOptions, oracle: pd.DataFrame) -> SimulateOptions:
    """The options with defaults that suit the images of the oracle, the same for all rounds."""
    probes = itertools.islice(_probed(options, oracle[IMAGE]), PROBED_IMAGES)
    return fill_defaults(options, list(probes), from_scratch=True)


def presumed_shape(options: SimulateOptions, oracle: pd.DataFrame) -> Shape:
    """(C, H, W) of the networks' input, judged by the first readable image."""
    first = itertools.islice(_probed(options, oracle[IMAGE]), 1)
    return common_shape(first, options.image_size, options.grey)


def _probed(options: SimulateOptions, images: "pd.Series[str]") -> Iterator[Probe]:
    """Yield the probes of the images that can be read."""
    for image in images:
        with contextlib.suppress(ImageError):
            yield probe_image(resolve_image(options.images, image, follow_links=options.follow_links))


def and_more(names: Sequence[str]) -> str:
    """The first name and the number of others."""
    return f"{listed(names[:1])} and {len(names) - 1:,} more" if len(names) > 1 else listed(names)


def skip_remedy(inputs: Inputs, images: Sequence[str]) -> str:
    """What to do about images that cannot be read."""
    rows = pd.concat([inputs.oracle, inputs.test])
    them = "them" if len(images) > 1 else "it"
    return f"repair {them}, or label {them} {SKIP} in {_files(rows[rows[IMAGE].isin(images)])}"


def _check_tables(options: SimulateOptions, oracle: pd.DataFrame, test: pd.DataFrame, names: ImageNames) -> None:
    if test.empty:
        raise DataError(f"{options.test[0]}: no image has a label; --test needs labelled images")
    if oracle.empty:
        raise DataError(f"{(options.labels or [options.images])[0]}: the oracle has no labels")
    if oracle[LABEL].nunique() == 1:
        raise DataError(
            f"{_files(oracle)}: all labels of the oracle are of one class, {shown(oracle[LABEL][0])}; "
            "a classifier needs at least two classes"
        )
    both = test[_within(test[IMAGE], oracle[IMAGE])]
    if len(both):
        raise DataError(
            f"{_location(both)}: {and_more(list(both[IMAGE]))}: also in the oracle ({_files(oracle)}); "
            "remove them from one of the two, because test images must not be trained on"
        )
    unknown = test[~_within(test[LABEL], oracle[LABEL])]
    if len(unknown):
        raise DataError(
            f"{_location(unknown)}: label {shown(unknown.iloc[0][LABEL])}: the oracle ({_files(oracle)}) has no image "
            f"of this class; remove the row, or label it {SKIP}"
        )
    missing = test[~test[IMAGE].map(names.is_there).astype(bool)]
    if len(missing):
        them = "them" if len(missing) > 1 else "it"
        hint = names.hint(missing.iloc[0][IMAGE]) or f"; restore {them}, or label {them} {SKIP}"
        raise DataError(
            f"{_location(missing)}: {and_more(list(missing[IMAGE]))}: not under {options.images} (--images){hint}"
        )


def _is_unlisted_file(root: Path, image: str) -> bool:
    """Whether the image is a file that listings leave out: it is hidden, or has another suffix."""
    return PurePosixPath(image).as_posix() == image and is_file(root / image)


def _within(column: "pd.Series[str]", values: Iterable[str]) -> "pd.Series[bool]":
    """Like `isin`, which takes about a second for the images of a large folder because it makes Arrow scalars."""
    return column.map(set(values).__contains__).astype(bool)  # an empty column would stay text


def _location(rows: pd.DataFrame) -> str:
    """File and line of the first row."""
    file, row = rows.iloc[0][["file", "row"]]
    return location_of(Path(file), row)


def _shortfall(options: SimulateOptions, images: int) -> str:
    if options.budget <= images:
        return ""
    return f"the oracle has only {images:,} images, so the simulation ends at {images:,} of {options.budget:,} labels"


def _files(rows: pd.DataFrame) -> str:
    return ", ".join(dict.fromkeys(rows["file"]))
