"""simulate: whole rounds with an oracle file that answers, to see what a strategy is worth before paying for labels."""

import contextlib
from pathlib import Path
from typing import Any

import pandas as pd

from dfal_cli.errors import DataError
from dfal_cli.images import PreparedImages, Shape, UnreadableImagesError, prepare
from dfal_cli.images.pool import report_skipped
from dfal_cli.pages.report import who_did_not_learn, why_not_learnt
from dfal_cli.pages.what_ran import what_ran
from dfal_cli.schemas import IMAGE, LABEL, UNREADABLE_COLUMNS
from dfal_cli.statistics.comparison import MeasuredOn, accuracy_at_end, as_numbers, not_learnt
from dfal_cli.steps.result import Result, up_to_date
from dfal_cli.steps.simulate.checks import check
from dfal_cli.steps.simulate.contents import Contents, contents_of, keep_contents
from dfal_cli.steps.simulate.inputs import Inputs, and_more, presumed_shape, read_inputs, spared, suited
from dfal_cli.steps.simulate.machine import PLAYING, Machine, begun
from dfal_cli.steps.simulate.made_from import made_from
from dfal_cli.steps.simulate.options import SimulateOptions
from dfal_cli.steps.simulate.outputs import (
    CONTENTS,
    RESULTS,
    ROUNDS,
    UNREADABLE,
    claim,
    clear,
    input_shape_of,
    keep_input_shape,
    not_shown,
    refuse_others,
    remove_images,
    tables_of,
    write_all,
)
from dfal_cli.steps.simulate.playing import play_rounds
from dfal_cli.steps.simulate.simulation import Done, Simulation, ended, in_order, rounds_in
from dfal_cli.system.files import locked
from dfal_cli.system.processes import Processes
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import write_rows
from dfal_cli.tables.class_names import class_name_warnings
from dfal_cli.training.remedies import what_to_try


def simulate(options: SimulateOptions, reporter: Reporter) -> Result:
    """Run every strategy from the same initial labels until the budget is spent, and write tables and curves.

    Runs that are there already, from an earlier call, are taken as they are; one that was interrupted goes on.
    Raises UsageError, DataError or TryAgainError as the command documents.
    """
    check(options)
    inputs = read_inputs(options)
    options = suited(options, inputs.oracle)
    skipped = report_skipped(inputs.skipped, reporter)
    with contextlib.ExitStack() as stack:
        left = len(inputs.runs) - (0 if options.force else len(_done_before(options.out, inputs)))
        machine = begun(stack.enter_context(Processes(PLAYING)), options, left)
        known = options.out / ROUNDS / CONTENTS
        tested = set(inputs.test[IMAGE])
        contents = contents_of(options.images, inputs.images, tested, options.workers, known, reporter)
        made = made_from(options, inputs, machine.kind, contents.digest)
        if not options.force:
            refuse_others(options.out, made)
        checked = presumed_shape(options, inputs.oracle) if left else None
        if checked:
            machine.check_networks(options, inputs, checked)
        _warn_of_inputs(inputs, contents, reporter)
        with locked(options.out / RESULTS, options.wait, reporter.note), stack.pop_all():  # they end, then the lock
            claim(options.out, made, force=options.force)
            keep_contents(known, contents)
            done = _done_before(options.out, inputs)
            clear(options.out, done)
            shape = input_shape_of(options.out)
            if shape is None or len(done) < len(inputs.runs):
                shape = _play(options, inputs, done, machine, checked, reporter)
            remove_images(options.out)
            tables = tables_of(in_order(inputs.runs, done))
            remedies = what_to_try(shape, at_last_epoch=None, may_start_pretrained=False)
            settings = _settings(options, inputs, shape, machine)
            outputs, new = write_all(options.out, tables, settings, inputs.measured_on, remedies)
            others = not_shown(options.out, inputs.runs)
    for trial in _beginning_otherwise(tables.results):
        reporter.warn(f"the runs of trial {trial} do not begin alike: another machine or version made some of them")
    if others:
        reporter.note(
            f"{others} other {'runs are' if others > 1 else 'run is'} kept in {options.out / ROUNDS} and not shown"
        )
    counts = {"rounds": len(tables.results), "trials": options.trials, "oracle": len(inputs.oracle), **skipped}
    summary, details = _found(as_numbers(tables.results), inputs.measured_on, remedies, reporter)
    return Result(outputs, summary, counts, details) if new else up_to_date(outputs, counts, details)


def _warn_of_inputs(inputs: Inputs, contents: Contents, reporter: Reporter) -> None:
    for warning in filter(None, (*inputs.left_out, *class_name_warnings(inputs.classes), inputs.shortfall)):
        reporter.warn(warning)
    if contents.copies:
        reporter.warn(
            f"{contents.copies} of {len(inputs.test)} test images are copies of images in the oracle: "
            "its accuracy overstates performance on new images"
        )


def _found(
    results: pd.DataFrame, measured_on: MeasuredOn, remedies: str, reporter: Reporter
) -> tuple[str, dict[str, Any]]:
    """What the networks came to, in a sentence and for JSON; those that did not learn are warned of."""
    means = {name: round(accuracy, 6) for name, accuracy in accuracy_at_end(results).items()}  # as results.csv has them
    said = ", ".join(f"{name} {accuracy:.4f}" for name, accuracy in means.items())
    summary = f"mean accuracy at the end: {said}"
    details = {"mean_accuracy_at_end": means, "not_learnt": not_learnt(results, measured_on)}
    who = who_did_not_learn(results, measured_on)
    if not who:
        return summary, details
    reporter.warn(f"{who}: {why_not_learnt(measured_on, remedies)}")
    return f"{who}; {summary}", details


def _done_before(out: Path, inputs: Inputs) -> Done:
    return {run: played for run in inputs.runs if (played := rounds_in(ended(out / ROUNDS, run)))}


def _play(
    options: SimulateOptions, inputs: Inputs, done: Done, machine: Machine, checked: Shape | None, reporter: Reporter
) -> Shape:
    """Play what is left, tell of each round, and add to `done` each run that ends.

    checked: the shape of images for which the networks have been checked. Returns the shape that they have.
    """
    folder = options.out / ROUNDS
    oracle = inputs.oracle
    machine.start(len(inputs.runs) - len(done))
    images = _prepared(options, inputs, folder, reporter)
    if images.shape != checked:
        machine.check_networks(options, inputs, images.shape)
    keep_input_shape(options.out, images.shape)
    simulation = Simulation(options, dict(zip(oracle[IMAGE], oracle[LABEL], strict=True)), images, folder)
    play_rounds(simulation, inputs, done, machine, reporter)
    return images.shape


def _prepared(options: SimulateOptions, inputs: Inputs, folder: Path, reporter: Reporter) -> PreparedImages:
    """Raises DataError if images cannot be read, and lists them."""
    listing = options.out / UNREADABLE
    try:
        images = prepare(
            options.images, inputs.oracle[IMAGE], inputs.test[IMAGE],
            image_size=options.image_size, grey=options.grey, white=options.white, follow_links=options.follow_links,
            folder=folder, workers=options.workers, reporter=reporter,
        )  # fmt: skip
    except UnreadableImagesError as error:
        write_rows(listing, UNREADABLE_COLUMNS, error.unreadable)
        names = [image for image, _ in error.unreadable]
        raise DataError(
            f"{and_more(names)} cannot be read ({listing} has the reasons); {spared(inputs, names)}"
        ) from None
    listing.unlink(missing_ok=True)
    return images


def _settings(options: SimulateOptions, inputs: Inputs, shape: Shape, machine: Machine) -> dict[str, str]:
    """For the report."""
    settings = what_ran(
        options, shape, inputs.oracle[LABEL], len(inputs.test), {"device": machine.device, "jobs": machine.jobs}
    )
    if inputs.shortfall:
        settings["budget"] += f" ({inputs.shortfall})"
    return settings


def _beginning_otherwise(results: pd.DataFrame) -> list[str]:
    """The trials whose runs differ in round 0, in which they all train the same network on the same labels."""
    found = results[results["round"] == "0"].groupby("trial", sort=False)["accuracy"].nunique()
    return [str(trial) for trial in found[found > 1].index]
