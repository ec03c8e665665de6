"""The rounds of a simulation as they are handed out, and what is said while they are played."""

import bisect
import contextlib
import re
from collections.abc import Iterator

from dfal_cli.errors import Interrupted
from dfal_cli.steps.simulate.inputs import Inputs
from dfal_cli.steps.simulate.machine import Machine
from dfal_cli.steps.simulate.outputs import tables_of, write_so_far
from dfal_cli.steps.simulate.simulation import Done, Played, Run, Simulation, Turn, end, in_order, rounds_begun
from dfal_cli.system.reporting import Reporter
from dfal_cli.system.signals import at_once

NUMBER = re.compile(r"\d[\d,.]*")


def play_rounds(simulation: Simulation, inputs: Inputs, done: Done, machine: Machine, reporter: Reporter) -> None:
    """Play what is left, tell of each round, and add to `done` each run that ends."""
    rounds = _Rounds(simulation, inputs, done)
    total = len(inputs.runs) * simulation.rounds_each
    if rounds.there:
        reporter.note(f"going on: {rounds.there} of {total} rounds are there")
    told: set[str] = set()
    with (
        rounds.telling_how_far(total),
        reporter.progress("simulating", total, "rounds", rounds.there, rounds.in_hand) as progress,
        at_once(),  # a round may take hours
    ):
        for played in machine.play(simulation, rounds.waiting):
            rounds.add(played)
            progress.advance(1)
            reporter.detail(_line(played))
            for warning in played.warnings:
                said = NUMBER.sub("", warning)
                if said not in told:  # what is said of a class would be said of every round, if with other numbers
                    reporter.warn(f"{_round(played)}: {warning}")
                    told.add(said)
            write_so_far(simulation.options.out, tables_of(in_order(inputs.runs, done | rounds.playing)))


class _Rounds:
    """What has been played, what may be played next, and what is being played."""

    def __init__(self, simulation: Simulation, inputs: Inputs, done: Done) -> None:
        """done: the runs that have ended, to which others are added."""
        self._simulation = simulation
        self._done = done
        self._turns = {run: Turn(run.trial, 0, place, run.name) for place, run in enumerate(inputs.runs)}
        self.playing = {run: rounds_begun(simulation.folder, run) for run in inputs.runs if run not in done}
        self.there = len(done) * simulation.rounds_each + sum(map(len, self.playing.values()))
        self.waiting: list[Turn] = []
        """In the order in which they are to be played; `Machine.play` takes them from the front."""
        for run in self.playing:
            self._go_on(run)

    def add(self, played: Played) -> None:
        """A round has been played: the next one of its run may be, or the run has ended."""
        run = Run(played.result[0], int(played.result[1]))
        self.playing[run].append(played)
        self.there += 1
        self._go_on(run)

    def in_hand(self) -> str:
        """The rounds being played right now."""
        waiting = {turn.run for turn in list(self.waiting)}
        return "; ".join(
            f"{run.name}, trial {run.trial}, round {len(rounds)}"
            for run, rounds in self.playing.items()
            if run not in self._done and run not in waiting
        )

    @contextlib.contextmanager
    def telling_how_far(self, total: int) -> Iterator[None]:
        """If the block is interrupted, say how far it had come."""
        try:
            yield
        except Interrupted as stopped:
            anew = " without --force, which would begin anew" if self._simulation.options.force else ""
            stopped.add_note(f"after {self.there} of {total} rounds; the same command goes on{anew}")
            raise

    def _go_on(self, run: Run) -> None:
        rounds = self.playing[run]
        if len(rounds) < self._simulation.rounds_each:
            bisect.insort(self.waiting, self._turns[run].to(len(rounds)))
        else:
            end(self._simulation.folder, run, rounds)
            self._done[run] = rounds


def _round(played: Played) -> str:
    name, trial, number, *_ = played.result
    return f"{name}, trial {trial}, round {number}"


def _line(played: Played) -> str:
    *_, annotations, accuracy = played.result[:5]
    return f"{_round(played)}: {annotations} annotations, accuracy {float(accuracy):.4f}"
