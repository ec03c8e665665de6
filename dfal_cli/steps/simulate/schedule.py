"""Plays the rounds of all runs in their order, and reports their progress."""

import bisect
import contextlib
import re
from collections.abc import Iterator
from typing import Any

from dfal_cli.errors import Interrupted
from dfal_cli.steps.simulate.inputs import Inputs
from dfal_cli.steps.simulate.machine import Machine
from dfal_cli.steps.simulate.outputs import tables_of, write_tables
from dfal_cli.steps.simulate.runs import (
    RoundResult,
    RoundsByRun,
    RoundTask,
    Run,
    Simulation,
    finish_run,
    in_order,
    read_unfinished_run,
)
from dfal_cli.system.reporting import Reporter
from dfal_cli.system.signals import at_once

NUMBER = re.compile(r"\d[\d,.]*")


def play_rounds(
    simulation: Simulation[Any], inputs: Inputs, finished: RoundsByRun, machine: Machine, reporter: Reporter
) -> None:
    """Play the missing rounds, write the tables after each task, and add to `finished` each run that ends."""
    schedule = _Schedule(simulation, inputs, finished)
    total = len(inputs.runs) * simulation.rounds_per_run
    if schedule.rounds_done:
        reporter.note(f"resuming after {schedule.rounds_done} of {total} rounds")
    reported: set[str] = set()
    with (
        schedule.note_if_interrupted(total),
        reporter.progress("simulating", total, "rounds", schedule.rounds_done, schedule.running) as progress,
        at_once(),  # a signal must not wait for a round, which may take hours
    ):
        for result in machine.play(simulation, schedule.tasks):
            schedule.add(result)
            progress.advance(1)
            reporter.detail(_summary(result))
            for warning in result.warnings:
                text = NUMBER.sub("", warning)
                if text not in reported:  # later rounds repeat the same warnings, with other numbers
                    reporter.warn(f"{_round_name(result)}: {warning}")
                    reported.add(text)
            if not simulation.whole_runs or schedule.has_ended(result):
                write_tables(simulation.options.out, tables_of(in_order(inputs.runs, finished | schedule.unfinished)))


class _Schedule:
    """The rounds that are finished, running, and ready to be played."""

    def __init__(self, simulation: Simulation[Any], inputs: Inputs, finished: RoundsByRun) -> None:
        """finished: the finished runs, to which others are added."""
        self._simulation = simulation
        self._finished = finished
        self._first_tasks = {
            run: RoundTask(run.trial, 0, position, run.name) for position, run in enumerate(inputs.runs)
        }
        self.unfinished = {
            run: read_unfinished_run(simulation.folder, run) for run in inputs.runs if run not in finished
        }
        self.rounds_done = len(finished) * simulation.rounds_per_run + sum(map(len, self.unfinished.values()))
        self.tasks: list[RoundTask] = []
        """The rounds that can be played now, in their order; `Machine.play` takes them from the front."""
        for run in self.unfinished:
            self._continue(run)

    def add(self, result: RoundResult) -> None:
        """Add a finished round, and schedule the next one of its run."""
        run = _run_of(result)
        self.unfinished[run].append(result)
        self.rounds_done += 1
        self._continue(run)

    def has_ended(self, result: RoundResult) -> bool:
        """Whether the round was the last one of its run."""
        return _run_of(result) in self._finished

    def running(self) -> str:
        """Describe the rounds that are being played."""
        waiting = {task.run for task in list(self.tasks)}
        return "; ".join(
            f"{run.name}, trial {run.trial}, round {len(rounds)}"
            for run, rounds in self.unfinished.items()
            if run not in self._finished and run not in waiting
        )

    @contextlib.contextmanager
    def note_if_interrupted(self, total: int) -> Iterator[None]:
        """If the block is interrupted, add a note on the finished rounds."""
        try:
            yield
        except Interrupted as interrupted:
            option = " (without --force, which would start over)" if self._simulation.options.force else ""
            interrupted.add_note(
                f"after {self.rounds_done} of {total} rounds; run the same command again to resume{option}"
            )
            raise

    def _continue(self, run: Run) -> None:
        rounds = self.unfinished[run]
        if len(rounds) == self._simulation.rounds_per_run:
            finish_run(self._simulation.folder, run, rounds)
            self._finished[run] = rounds
        elif not rounds or not self._simulation.whole_runs:  # else its task goes on
            bisect.insort(self.tasks, self._first_tasks[run].with_number(len(rounds)))


def _run_of(result: RoundResult) -> Run:
    return Run(result.result[0], int(result.result[1]))


def _round_name(result: RoundResult) -> str:
    name, trial, number, *_ = result.result
    return f"{name}, trial {trial}, round {number}"


def _summary(result: RoundResult) -> str:
    *_, annotations, accuracy = result.result[:5]
    return f"{_round_name(result)}: {annotations} annotations, accuracy {float(accuracy):.4f}"
