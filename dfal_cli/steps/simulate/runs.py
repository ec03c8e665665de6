"""The runs of a simulation, each one strategy in one trial, and the results they keep on disk."""

import itertools
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, Self, TypeVar

import numpy as np

from dfal_cli.schemas import RESULTS_COLUMNS, TIMINGS_COLUMNS
from dfal_cli.steps.simulate.options import Plan, SimulateOptions
from dfal_cli.system.state_files import read_json, write_json

Data = TypeVar("Data")

ROUND_FILE, RUN_SUFFIX = "done.json", ".rows.json"
"""Name of the file with the result of a round, and suffix of the file with the results of a finished run."""
COLUMNS_ADDED = 2
"""Number of columns of results.csv that the first version lacked."""


class Run(NamedTuple):
    """One strategy in one trial."""

    name: str
    trial: int

    @property
    def title(self) -> str:
        """Name of its files."""
        return f"{self.name}-{self.trial}"


class RoundTask(NamedTuple):
    """A round to play. Tasks sort by trial, then round, so that the strategies of a trial advance together."""

    trial: int
    number: int
    position: int
    """Position of the run among all runs."""
    name: str

    @property
    def run(self) -> Run:
        """The run of the round."""
        return Run(self.name, self.trial)

    def with_number(self, number: int) -> Self:
        """The task of another round of the same run."""
        return self._replace(number=number)


class RoundResult(NamedTuple):
    """The rows of a round in results.csv and timings.csv, and the warnings of its steps."""

    result: tuple[str, ...]
    timing: tuple[str, ...]
    warnings: tuple[str, ...] = ()


RoundsByRun = dict[Run, list[RoundResult]]


@dataclass(frozen=True)
class Simulation(Generic[Data]):
    """What is common to all runs."""

    options: SimulateOptions
    plan: Plan
    answers: dict[str, str]
    """The oracle: image -> class."""
    data: Data
    """What networks or heads are trained on."""
    folder: Path
    """Folder of the files of the runs."""
    module: str
    """The module whose function `play` plays the rounds of a task."""
    whole_runs: bool
    """Whether it plays all rounds of a run at a time, which are then not resumed but played again."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the oracle, sorted."""
        return tuple(sorted(set(self.answers.values())))

    @property
    def budget(self) -> int:
        """Total number of labels."""
        return min(self.plan.budget, len(self.answers))

    @property
    def rounds_per_run(self) -> int:
        """Number of rounds of each run, including round 0 with the initial labels."""
        return 1 + -(-(self.budget - self.plan.initial) // self.plan.count)

    def seed(self, trial: int, round_number: int) -> int:
        """The seed of a round: the same for all strategies, so that nothing else differs."""
        return int(np.random.SeedSequence([self.options.seed, trial, round_number]).generate_state(1)[0])


class Timer:
    """Measures the seconds of training and of querying in a round."""

    def __init__(self) -> None:
        self._times = [time.perf_counter()]

    def stop(self) -> None:
        """End the training, and then the querying."""
        self._times.append(time.perf_counter())

    def cells(self) -> tuple[str, str]:
        """The cells of the timings; blank for a round that queries nothing."""
        started, trained, *queried = self._times
        return f"{trained - started:.3f}", f"{queried[0] - trained:.3f}" if queried else ""


def round_result(
    task: RoundTask, labels: Sequence[str], classes: Sequence[str], measured: Mapping[str, Any], timer: Timer,
    warnings: Sequence[str] = (),
) -> RoundResult:  # fmt: skip
    """The result of a round with these labels (a class each).

    measured: the summary of the evaluation on the test images; its loss is None after a training that diverged.
    """
    key = (task.name, str(task.trial), str(task.number))
    numbers = (measured["accuracy"], measured["loss"], _entropy(labels), measured["balanced_accuracy"])
    cells = ("" if number is None else f"{number:.6f}" for number in numbers)
    fewest = min(map(labels.count, classes))
    return RoundResult((*key, str(len(labels)), *cells, str(fewest)), (*key, *timer.cells()), tuple(warnings))


def _entropy(labels: Sequence[str]) -> float:
    """Entropy of the class distribution in nats: low if a strategy asks about few classes."""
    shares = np.unique(labels, return_counts=True)[1] / len(labels)
    return max(0.0, float(-(shares * np.log(shares)).sum()))  # not -0 for a single class


def read_round(file: Path) -> RoundResult | None:
    """The result of a finished round; None if the file is missing or damaged."""
    return _as_round(read_json(file))


def read_unfinished_run(folder: Path, run: Run) -> list[RoundResult]:
    """The finished rounds of an unfinished run, up to the first that is missing."""
    rounds: list[RoundResult] = []
    while result := read_round(folder / run.title / str(len(rounds)) / ROUND_FILE):
        rounds.append(result)
    return rounds


def read_run(file: Path) -> list[RoundResult]:
    """The rounds of a finished run; empty if the file is missing or damaged."""
    stored = read_json(file)
    rounds = [_as_round(each) for each in stored] if isinstance(stored, list) else []
    valid = [result for result in rounds if result]
    return valid if len(valid) == len(rounds) else []


def finish_run(folder: Path, run: Run, rounds: Sequence[RoundResult]) -> None:
    """Write the rows of a finished run, and remove its folder."""
    write_json(run_file(folder, run), [result[:2] for result in rounds])
    shutil.rmtree(folder / run.title, ignore_errors=True)


def run_file(folder: Path, run: Run) -> Path:
    """The file with the results of a finished run."""
    return folder / f"{run.title}{RUN_SUFFIX}"


def in_order(runs: Iterable[Run], rounds: RoundsByRun) -> Iterator[RoundResult]:
    """The available rounds, run by run."""
    return itertools.chain.from_iterable(rounds.get(run, ()) for run in runs)


def _as_round(stored: Any) -> RoundResult | None:
    """None if the JSON value does not have the two rows of a round.

    Old files have nan for an unknown loss, and lack the columns that were added later; these stay blank.
    """
    match stored:
        case [[*result], [*timing]] if all(isinstance(cell, str) for cell in (*result, *timing)):
            added = len(RESULTS_COLUMNS) - len(result)
            if 0 <= added <= COLUMNS_ADDED and len(timing) == len(TIMINGS_COLUMNS):
                cells = [*result, *[""] * added]
                return RoundResult(tuple("" if cell == "nan" else cell for cell in cells), tuple(timing))
    return None
