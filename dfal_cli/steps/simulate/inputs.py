"""What a simulation is told: its options, its oracle and its test, seen to before anything is written."""

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
from dfal_cli.steps.simulate.simulation import Run
from dfal_cli.system.files import is_file
from dfal_cli.tables import ImageNames, labelled_rows, labels_from_folders, location_of, read_labels_files
from dfal_cli.training.defaults import fill_defaults


class Inputs(NamedTuple):
    """Tables of labelled rows, as `read_labels_files` makes them, and the runs in the order of the results."""

    oracle: pd.DataFrame
    test: pd.DataFrame
    runs: list[Run]
    shortfall: str
    """What the oracle has too few images for; mostly "". """
    skipped: Skipped
    left_out: Sequence[str] = ()
    """What of the oracle is not there, has no class or cannot be read, in words."""

    @property
    def images(self) -> list[str]:
        """All that are read, sorted."""
        return sorted([*self.oracle[IMAGE], *self.test[IMAGE]])

    @property
    def classes(self) -> list[str]:
        """Those of the oracle, sorted."""
        return sorted(set(self.oracle[LABEL]))

    @property
    def measured_on(self) -> MeasuredOn:
        """The test images, as far as accuracies depend on them."""
        return MeasuredOn(len(self.test), int(self.test[LABEL].value_counts().iloc[0]))

    @property
    def strategies(self) -> list[str]:
        """In the order in which they were asked for."""
        return list(dict.fromkeys(run.name for run in self.runs))


def read_inputs(options: SimulateOptions) -> Inputs:
    """Read the files and check that they can be simulated. Raises UsageError or DataError if not."""
    images, unreadable, skipped = list_images(options.images, follow_links=options.follow_links)
    known = {*images, *(image for image, _ in unreadable)}  # the unreadable ones are tried
    there = ImageNames(
        options.images, lambda image: image in known or _is_there(options.images, image), lambda: known
    )  # fmt: skip
    left_out: list[str] = []
    oracle = labelled_rows(read_labels_files(options.labels, there.matched(left_out.append)))
    oracle = oracle[oracle[IMAGE].map(there.is_there).astype(bool)].reset_index(drop=True)
    test = labelled_rows(read_labels_files(options.test, there.renamed))
    if options.labels_from_folders:
        of_folders, classless = labels_from_folders(options.images, images)
        unread = f"{options.images}: {unreadable_in_words(unreadable)}" if unreadable else ""
        left_out += filter(None, (classless, unread))
        oracle = labelled_rows(of_folders[~_within(of_folders[IMAGE], test[IMAGE])])
    _check_tables(options, oracle, test, there)
    if options.initial >= len(oracle):
        raise UsageError(
            f"--initial {options.initial}: the oracle ({_files(oracle)}) has {len(oracle)} images; "
            "let there be some to ask about"
        )
    runs = [Run(name, trial) for trial, name in itertools.product(range(1, options.trials + 1), options.strategy_names)]
    return Inputs(oracle, test, runs, _shortfall(options, len(oracle)), skipped, left_out)


LOOKED_AT = 100
"""Images of the oracle by which options that are left open are settled."""


def suited(options: SimulateOptions, oracle: pd.DataFrame) -> SimulateOptions:
    """The options with what suits the oracle's images in the place of what is left open, the same for all rounds."""
    return fill_defaults(options, list(itertools.islice(_probed(options, oracle[IMAGE]), LOOKED_AT)), from_scratch=True)


def presumed_shape(options: SimulateOptions, oracle: pd.DataFrame) -> Shape:
    """(C, H, W) of the networks' input as long as only the first image has been looked at, which most are like."""
    first = itertools.islice(_probed(options, oracle[IMAGE]), 1)
    return common_shape(first, options.image_size, options.grey)


def _probed(options: SimulateOptions, images: "pd.Series[str]") -> Iterator[Probe]:
    """Those that can be read."""
    for image in images:
        with contextlib.suppress(ImageError):
            yield probe_image(resolve_image(options.images, image, follow_links=options.follow_links))


def and_more(names: Sequence[str]) -> str:
    """The first, and how many others."""
    return f"{listed(names[:1])} and {len(names) - 1:,} more" if len(names) > 1 else listed(names)


def spared(inputs: Inputs, images: Sequence[str]) -> str:
    """What to do about images that are of no use."""
    rows = pd.concat([inputs.oracle, inputs.test])
    them = "them" if len(images) > 1 else "it"
    return f"mend {them}, or label {them} {SKIP} in {_files(rows[rows[IMAGE].isin(images)])}"


def _check_tables(options: SimulateOptions, oracle: pd.DataFrame, test: pd.DataFrame, there: ImageNames) -> None:
    if test.empty:
        raise DataError(f"{options.test[0]}: no image has a label, so there is nothing to measure on (--test)")
    if oracle.empty:
        raise DataError(f"{(options.labels or [options.images])[0]}: the oracle has no labels")
    if oracle[LABEL].nunique() == 1:
        raise DataError(
            f"{_files(oracle)}: the oracle has labels of one class only, {shown(oracle[LABEL][0])}; "
            "a classifier needs at least two"
        )
    both = test[_within(test[IMAGE], oracle[IMAGE])]
    if len(both):
        raise DataError(
            f"{_place(both)}: {and_more(list(both[IMAGE]))}: in the oracle ({_files(oracle)}) too; "
            "a test must be unseen, so leave them out of one of the two"
        )
    unknown = test[~_within(test[LABEL], oracle[LABEL])]
    if len(unknown):
        raise DataError(
            f"{_place(unknown)}: label {shown(unknown.iloc[0][LABEL])}: the oracle ({_files(oracle)}) has no image of "
            f"that class; leave it out, or label it {SKIP}"
        )
    missing = test[~test[IMAGE].map(there.is_there).astype(bool)]
    if len(missing):
        them = "them" if len(missing) > 1 else "it"
        hint = there.hint(missing.iloc[0][IMAGE]) or f"; restore {them}, or label {them} {SKIP}"
        raise DataError(
            f"{_place(missing)}: {and_more(list(missing[IMAGE]))}: not under {options.images} (--images){hint}"
        )


def _is_there(root: Path, image: str) -> bool:
    """Whether somebody means this file by its name although no listing has it: it is hidden, or of another suffix."""
    return PurePosixPath(image).as_posix() == image and is_file(root / image)


def _within(column: "pd.Series[str]", values: Iterable[str]) -> "pd.Series[bool]":
    """`isin`, which makes an Arrow scalar of each value first: a second where they are all images of a large folder."""
    return column.map(set(values).__contains__).astype(bool)  # of an empty column it would be text


def _place(rows: pd.DataFrame) -> str:
    """Where the first of the rows stands."""
    file, row = rows.iloc[0][["file", "row"]]
    return location_of(Path(file), row)


def _shortfall(options: SimulateOptions, images: int) -> str:
    if options.budget <= images:
        return ""
    return f"the oracle has {images:,} images: ends at {images:,} of {options.budget:,} labels"


def _files(rows: pd.DataFrame) -> str:
    return ", ".join(dict.fromkeys(rows["file"]))
