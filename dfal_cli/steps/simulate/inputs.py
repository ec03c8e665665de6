"""What a simulation is told: its options, its oracle and its test, seen to before anything is written."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from dfal_cli.contenders import CONTENDERS
from dfal_cli.errors import DataError, UsageError, listed, shown
from dfal_cli.files import must_exist
from dfal_cli.images import list_images
from dfal_cli.schemas import IMAGE, LABEL, SKIP
from dfal_cli.steps.simulate.simulation import Run, SimulateOptions
from dfal_cli.tables import labelled_rows, line_of, read_labels_files


class Inputs(NamedTuple):
    """Tables of labelled rows, as `read_labels_files` makes them, and the runs in the order of the results."""

    oracle: pd.DataFrame
    test: pd.DataFrame
    runs: list[Run]
    shortfall: str
    """What the oracle has too few images for; mostly "". """

    @property
    def strategies(self) -> list[str]:
        """The contenders, in the order in which they were asked for."""
        return list(dict.fromkeys(run.name for run in self.runs))


def read_inputs(options: SimulateOptions) -> Inputs:
    """Read the files and see that they and the options can be simulated. Raises UsageError or DataError if not."""
    names = _check(options)
    oracle, test = (labelled_rows(read_labels_files(files)) for files in (options.labels, options.test))
    _check_tables(options, oracle, test)
    if options.initial >= len(oracle):
        raise UsageError(
            f"--initial {options.initial}: the oracle ({_files(oracle)}) has {len(oracle)} images; "
            "let there be some to ask about"
        )
    runs = [Run(name, trial) for trial, name in itertools.product(range(1, options.trials + 1), names)]
    return Inputs(oracle, test, runs, _shortfall(options, len(oracle)))


def and_more(names: Sequence[str]) -> str:
    """The first, and how many others."""
    return f"{listed(names[:1])} and {len(names) - 1:,} more" if len(names) > 1 else listed(names)


def spared(inputs: Inputs, images: Sequence[str]) -> str:
    """What to do about images that are of no use."""
    rows = pd.concat([inputs.oracle, inputs.test])
    them = "them" if len(images) > 1 else "it"
    return f"mend {them}, or label {them} {SKIP} in {_files(rows[rows[IMAGE].isin(images)])}"


def _check(options: SimulateOptions) -> list[str]:
    names = [name for part in options.strategies.split(",") if (name := part.strip())]
    if not names:
        raise UsageError(f"--strategies: name at least one of {', '.join(CONTENDERS)}")
    for name in names:
        if name not in CONTENDERS:
            raise UsageError(f"--strategies {name}: use some of {', '.join(CONTENDERS)}")
    if options.budget <= options.initial:
        raise UsageError(
            f"--budget {options.budget}: counts the {options.initial} initial labels (--initial), so it must be more"
        )
    if options.candidates is not None and options.candidates < options.count:
        raise UsageError(
            f"--candidates {options.candidates}: fewer than the {options.count} queries of a round (--count)"
        )
    must_exist(options.images, "--images", folder=True)
    return list(dict.fromkeys(names))


def _check_tables(options: SimulateOptions, oracle: pd.DataFrame, test: pd.DataFrame) -> None:
    if test.empty:
        raise DataError(f"{options.test[0]}: no image has a label, so there is nothing to measure on (--test)")
    if oracle.empty:
        raise DataError(f"{options.labels[0]}: the oracle has no labels")
    both = sorted(set(oracle[IMAGE]) & set(test[IMAGE]))
    if both:
        raise DataError(f"{and_more(both)}: in the oracle and in the test file; a test must be unseen")
    unknown = test[~test[LABEL].isin(oracle[LABEL])]
    if len(unknown):
        file, row, label = (unknown.iloc[0][name] for name in ("file", "row", LABEL))
        raise DataError(
            f"{file}, line {line_of(Path(file), int(row))}: label {shown(label)}: "
            f"the oracle ({_files(oracle)}) has no image of that class"
        )
    images, unreadable = list_images(options.images)
    missing = sorted(set(oracle[IMAGE]).difference(images, (image for image, _ in unreadable)))  # the others are tried
    if missing:
        raise DataError(f"{and_more(missing)}: in the oracle, but not under {options.images}")


def _shortfall(options: SimulateOptions, images: int) -> str:
    if options.budget <= images:
        return ""
    return f"the oracle has {images:,} images: ends at {images:,} of {options.budget:,} labels"


def _files(rows: pd.DataFrame) -> str:
    return ", ".join(dict.fromkeys(rows["file"]))
