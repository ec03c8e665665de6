"""The inputs of a simulation: the oracle, the test set and the runs, checked before anything is written."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pandas as pd

from dfal_cli.errors import DataError, UsageError, listed, shown
from dfal_cli.images import Skipped, is_there, list_images
from dfal_cli.images.pool import unreadable_in_words
from dfal_cli.schemas import IMAGE, LABEL, SKIP
from dfal_cli.statistics.comparison import MeasuredOn
from dfal_cli.steps.simulate.options import Plan, SimulateOptions
from dfal_cli.steps.simulate.runs import Run
from dfal_cli.system.image_roots import ImageRoot
from dfal_cli.tables import ImageNames, NameMatcher, labelled_rows, labels_from_folders, location_of, read_labels_files
from dfal_cli.tables.embeddings import read_embedded_images


class Inputs(NamedTuple):
    """The oracle and the test set, as tables of labelled rows, and the runs in the order of the results."""

    oracle: pd.DataFrame
    test: pd.DataFrame
    plan: Plan
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
    def tested(self) -> frozenset[str]:
        """The images of the test set."""
        return frozenset(self.test[IMAGE])

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


class Available(NamedTuple):
    """The images that can be simulated with."""

    images: Sequence[str]
    unreadable: Sequence[tuple[str, str]]
    """Path and reason of the files that look like images and cannot be read."""
    skipped: Skipped
    names: ImageNames
    root: ImageRoot
    """The image root, or the embeddings file that names the images."""


def available_images(options: SimulateOptions) -> Available:
    """The images under the image root."""
    assert options.images is not None  # guaranteed by `check`
    root = options.images
    images, unreadable, skipped = list_images(root, follow_links=options.follow_links)
    listed_images = {*images, *(image for image, _ in unreadable)}  # unreadable images are reported when they are read
    names = ImageNames(
        root, lambda image: image in listed_images or _is_unlisted_file(root, image), lambda: listed_images
    )
    return Available(images, unreadable, skipped, names, root)


def available_embeddings(embeddings: Path) -> Available:
    """The images that have embeddings."""
    images = read_embedded_images(embeddings)
    names = ImageNames(embeddings, frozenset(images).__contains__, lambda: images, "in")
    return Available(images, (), Skipped(), names, embeddings)


def read_inputs(options: SimulateOptions, available: Available, note: Callable[[str], None]) -> Inputs:
    """Read and check the oracle and the test set. Raises UsageError or DataError if they are invalid."""
    names = available.names
    left_out: list[str] = []
    oracle = labelled_rows(read_labels_files(options.labels, names.matched(left_out.append, tell=note, doubt=note)))
    oracle = oracle[oracle[IMAGE].map(names.is_there).astype(bool)].reset_index(drop=True)
    test = labelled_rows(read_labels_files(options.test, NameMatcher(names, tell=note, doubt=note)))
    if options.labels_from_folders:
        folder_labels, without_class = labels_from_folders(available.root, available.images)
        unread = f"{available.root}: {unreadable_in_words(available.unreadable)}" if available.unreadable else ""
        left_out += filter(None, (without_class, unread))
        oracle = labelled_rows(folder_labels[~_within(folder_labels[IMAGE], test[IMAGE])])
    _check_tables(options, oracle, test, names)
    plan = options.plan(oracle[LABEL].nunique())
    _check_plan(plan, options.candidates, oracle)
    runs = [Run(name, trial) for trial, name in itertools.product(range(1, plan.trials + 1), options.strategy_names)]
    return Inputs(oracle, test, plan, runs, _shortfall(plan, len(oracle)), available.skipped, left_out)


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
        raise DataError(f"{options.labels[0] if options.labels else names.root}: the oracle has no labels")
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
            f"{_location(missing)}: {and_more(list(missing[IMAGE]))}: not {names.place} "
            f"({'--embeddings' if options.embeddings else '--images'}){hint}"
        )


def _check_plan(plan: Plan, candidates: int | None, oracle: pd.DataFrame) -> None:
    if candidates is not None and candidates < plan.count:
        raise UsageError(f"--candidates {candidates}: fewer than the {plan.count} queries per round (--count)")
    if plan.budget <= plan.initial:
        raise UsageError(
            f"--budget {plan.budget}: includes the {plan.initial} initial labels (--initial); it must be larger"
        )
    if plan.initial >= len(oracle):
        raise UsageError(
            f"--initial {plan.initial}: the oracle ({_files(oracle)}) has only {len(oracle)} images; "
            "choose a smaller number"
        )


def _is_unlisted_file(root: ImageRoot, image: str) -> bool:
    """Whether the image is a file that listings leave out: it is hidden, or has another suffix."""
    return PurePosixPath(image).as_posix() == image and is_there(root, image)


def _within(column: "pd.Series[str]", values: Iterable[str]) -> "pd.Series[bool]":
    """Like `isin`, which takes about a second for the images of a large folder because it makes Arrow scalars."""
    return column.map(set(values).__contains__).astype(bool)  # an empty column would stay text


def _location(rows: pd.DataFrame) -> str:
    """File and line of the first row."""
    file, row = rows.iloc[0][["file", "row"]]
    return location_of(Path(file), row)


def _shortfall(plan: Plan, images: int) -> str:
    if plan.budget <= images:
        return ""
    return f"the oracle has only {images:,} images, so the simulation ends at {images:,} of {plan.budget:,} labels"


def _files(rows: pd.DataFrame) -> str:
    return ", ".join(dict.fromkeys(rows["file"]))
