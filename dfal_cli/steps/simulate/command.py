"""simulate: compare strategies in complete rounds, with known labels in place of a person's answers."""

import contextlib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd

from dfal_cli.errors import plural
from dfal_cli.images.pool import report_skipped
from dfal_cli.pages.report import who_did_not_learn, why_not_learnt
from dfal_cli.pages.what_ran import what_ran
from dfal_cli.schemas import IMAGE, LABEL
from dfal_cli.statistics.comparison import MeasuredOn, accuracy_at_end, as_numbers, not_learnt
from dfal_cli.steps.result import Result, up_to_date
from dfal_cli.steps.simulate.checks import check
from dfal_cli.steps.simulate.contents import Contents, store_contents
from dfal_cli.steps.simulate.heads import FrozenHeads, Heads
from dfal_cli.steps.simulate.inputs import Inputs, read_inputs
from dfal_cli.steps.simulate.kind import Described, InputShape, Kind
from dfal_cli.steps.simulate.machine import Machine, start_machine
from dfal_cli.steps.simulate.networks import Networks
from dfal_cli.steps.simulate.options import SimulateOptions
from dfal_cli.steps.simulate.outputs import (
    CONTENTS,
    RESULTS,
    ROUNDS,
    check_owner,
    claim,
    count_other_runs,
    read_input_shape,
    remove_data,
    remove_unneeded,
    store_input_shape,
    tables_of,
    write_all,
)
from dfal_cli.steps.simulate.run_inputs import run_inputs
from dfal_cli.steps.simulate.runs import RoundsByRun, Simulation, in_order, read_run, run_file
from dfal_cli.steps.simulate.schedule import play_rounds
from dfal_cli.system.files import locked
from dfal_cli.system.processes import Processes
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables.class_names import class_name_warnings


def simulate(options: SimulateOptions, reporter: Reporter) -> Result:
    """Play every strategy from the same initial labels until the budget is spent, and write tables, curves and report.

    Finished runs of an earlier call are kept, and unfinished ones are resumed.
    Raises UsageError, DataError or TryAgainError, as documented for the command.
    """
    check(options)
    options = replace(options, start=options.start_name)
    kind = _kind_of(options)
    inputs = read_inputs(options, kind.available(options), reporter.note)
    options = replace(
        kind.completed(options, inputs), strategies=",".join(options.strategy_names), **asdict(inputs.plan)
    )
    skipped = report_skipped(inputs.skipped, reporter)
    with contextlib.ExitStack() as stack:
        unfinished = len(inputs.runs) - (0 if options.force else len(_finished_runs(options.out, inputs)))
        processes = stack.enter_context(Processes(kind.module))
        machine = start_machine(processes, kind.device(options), options.jobs, unfinished)
        stored = options.out / ROUNDS / CONTENTS
        contents = kind.contents(options, inputs, stored, reporter)
        made_with = {**kind.made_with(options), kind.hashed: contents.digest}
        made_from = run_inputs(options, inputs, machine.devices.kind, made_with)
        if not options.force:
            check_owner(options.out, made_from)
        if unfinished:
            kind.check(options, inputs, machine)
        _warn_of_inputs(inputs, contents, reporter)
        # Nothing has been written so far. The processes end before the lock is released.
        with locked(options.out / RESULTS, options.wait, reporter.note), stack.pop_all():
            claim(options.out, made_from, force=options.force)
            store_contents(stored, contents)
            finished = _finished_runs(options.out, inputs)
            remove_unneeded(options.out, finished)
            shape = read_input_shape(options.out, kind.axes)
            if shape is None or len(finished) < len(inputs.runs):
                shape = _play(kind, options, inputs, finished, machine, reporter)
            remove_data(options.out)
            tables = tables_of(in_order(inputs.runs, finished))
            described = kind.describe(shape)
            settings = _settings(options, inputs, described, machine)
            outputs, written = write_all(
                options.out, tables, settings, inputs.measured_on, described.remedies, machine.jobs
            )
            _report_runs(options, inputs, tables.results, reporter)
    counts = {"rounds": len(tables.results), "trials": inputs.plan.trials, "oracle": len(inputs.oracle), **skipped}
    summary, details = _results(as_numbers(tables.results), inputs.measured_on, described.remedies, reporter)
    return Result(outputs, summary, counts, details) if written else up_to_date(outputs, counts, details)


def _kind_of(options: SimulateOptions) -> Kind:
    if options.embeddings is not None:
        return Heads()
    return FrozenHeads() if options.freeze else Networks()


def _warn_of_inputs(inputs: Inputs, contents: Contents, reporter: Reporter) -> None:
    for warning in filter(None, (*inputs.left_out, *class_name_warnings(inputs.classes), inputs.shortfall)):
        reporter.warn(warning)
    if contents.copies:
        reporter.warn(
            f"{contents.copies} of {len(inputs.test)} test images "
            f"{plural(contents.copies, 'is a copy', 'are copies')} of images in the oracle: "
            "the accuracy overstates performance on new images"
        )


def _report_runs(options: SimulateOptions, inputs: Inputs, results: pd.DataFrame, reporter: Reporter) -> None:
    for trial in _trials_with_different_starts(results):
        reporter.warn(
            f"the runs of trial {trial} differ in round 0: some were made on another machine or by another version"
        )
    others = count_other_runs(options.out, inputs.runs)
    if others:
        reporter.note(
            f"{others} other {plural(others, 'run is', 'runs are')} kept in {options.out / ROUNDS} but not shown"
        )


def _results(
    results: pd.DataFrame, measured_on: MeasuredOn, remedies: str, reporter: Reporter
) -> tuple[str, dict[str, Any]]:
    """The summary and the details of the results. Warns of strategies whose networks did not learn."""
    means = {name: round(accuracy, 6) for name, accuracy in accuracy_at_end(results).items()}  # as in results.csv
    summary = f"mean accuracy at the end: {', '.join(f'{name} {mean:.4f}' for name, mean in means.items())}"
    details = {"mean_accuracy_at_end": means, "not_learnt": not_learnt(results, measured_on)}
    who = who_did_not_learn(results, measured_on)
    if not who:
        return summary, details
    reporter.warn(f"{who}: {why_not_learnt(measured_on, remedies)}")
    return f"{who}; {summary}", details


def _finished_runs(out: Path, inputs: Inputs) -> RoundsByRun:
    return {run: rounds for run in inputs.runs if (rounds := read_run(run_file(out / ROUNDS, run)))}


def _play(
    kind: Kind, options: SimulateOptions, inputs: Inputs, finished: RoundsByRun, machine: Machine, reporter: Reporter
) -> InputShape:
    """Prepare what the runs share, play the missing rounds, and add to `finished` each run that ends."""
    machine.start(len(inputs.runs) - len(finished))
    data, shape = kind.prepare(options, inputs, machine, reporter)
    store_input_shape(options.out, shape)
    simulation = Simulation(
        options, inputs.plan, dict(zip(inputs.oracle[IMAGE], inputs.oracle[LABEL], strict=True)), data,
        options.out / ROUNDS, kind.module, kind.whole_runs,
    )  # fmt: skip
    play_rounds(simulation, inputs, finished, machine, reporter)
    return shape


def _settings(options: SimulateOptions, inputs: Inputs, described: Described, machine: Machine) -> dict[str, str]:
    """The settings that the report shows."""
    settings = what_ran(
        options, inputs.oracle[LABEL], len(inputs.test), chosen=described.chosen,
        resolved={"device": str(machine.devices), "jobs": machine.jobs}, without_effect=described.without_effect,
        facts=described.facts,
    )  # fmt: skip
    if inputs.shortfall:
        settings["budget"] += f" ({inputs.shortfall})"
    return settings


def _trials_with_different_starts(results: pd.DataFrame) -> list[str]:
    """The trials whose runs differ in round 0, although all train the same network on the same labels."""
    accuracies = results[results["round"] == "0"].groupby("trial", sort=False)["accuracy"].nunique()
    return [str(trial) for trial in accuracies[accuracies > 1].index]
