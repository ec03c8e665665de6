"""What all runs of a simulation have in common: its options, its oracle and its images."""

import itertools
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from dfal_cli.images import PreparedImages
from dfal_cli.schemas import RESULTS_COLUMNS, TIMINGS_COLUMNS
from dfal_cli.steps.simulate.options import SimulateOptions
from dfal_cli.system.state_files import read_json, write_json

DONE, ENDED = "done.json", ".rows.json"
"""On disk: of a round, of a run."""


class Run(NamedTuple):
    """One strategy in one trial."""

    name: str
    trial: int

    @property
    def title(self) -> str:
        """Its name on disk."""
        return f"{self.name}-{self.trial}"


class Turn(NamedTuple):
    """A round to be played. In their order trial comes after trial, and its strategies keep pace with each other."""

    trial: int
    number: int
    place: int
    """Of the run among all."""
    name: str

    @property
    def run(self) -> Run:
        """Whose round it is."""
        return Run(self.name, self.trial)

    def to(self, number: int) -> Self:
        """That round of the same run."""
        return self._replace(number=number)


class Played(NamedTuple):
    """One round: its rows of results.csv and timings.csv."""

    result: tuple[str, ...]
    timing: tuple[str, ...]
    warnings: tuple[str, ...] = ()


Done = dict[Run, list[Played]]
"""The rounds of runs that have ended."""


@dataclass(frozen=True)
class Simulation:
    """What a run needs to know."""

    options: SimulateOptions
    answers: dict[str, str]
    """The oracle."""
    images: PreparedImages
    folder: Path
    """Where the runs keep what they are at."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The oracle's."""
        return tuple(sorted(set(self.answers.values())))

    @property
    def budget(self) -> int:
        """Labels in all."""
        return min(self.options.budget, len(self.answers))

    @property
    def rounds_each(self) -> int:
        """Rounds of each strategy in each trial."""
        return 1 + -(-(self.budget - self.options.initial) // self.options.count)

    def seed(self, trial: int, round_number: int) -> int:
        """One for all strategies, so that they differ by nothing else."""
        return int(np.random.SeedSequence([self.options.seed, trial, round_number]).generate_state(1)[0])


def round_in(file: Path) -> Played | None:
    """A round that has ended; None if the file is not there, or is damaged."""
    return _played(read_json(file))


def rounds_begun(folder: Path, run: Run) -> list[Played]:
    """The rounds of a run that has not ended, up to the first that is missing."""
    rounds: list[Played] = []
    while played := round_in(folder / run.title / str(len(rounds)) / DONE):
        rounds.append(played)
    return rounds


def end(folder: Path, run: Run, rounds: Sequence[Played]) -> None:
    """Keep the rows of a run that has ended, all there is to it from then on."""
    write_json(ended(folder, run), [played[:2] for played in rounds])
    shutil.rmtree(folder / run.title)


def rounds_in(file: Path) -> list[Played]:
    """The rounds of a run that has ended; none if the file is not there, or is damaged."""
    stored = read_json(file)
    rounds = [_played(each) for each in stored] if isinstance(stored, list) else []
    whole = [played for played in rounds if played]
    return whole if len(whole) == len(rounds) else []


def in_order(runs: Iterable[Run], rounds: Done) -> Iterator[Played]:
    """The rounds that there are, run by run."""
    return itertools.chain.from_iterable(rounds.get(run, ()) for run in runs)


def ended(folder: Path, run: Run) -> Path:
    """The file of a run that has ended: the rows of its rounds."""
    return folder / f"{run.title}{ENDED}"


def _played(stored: Any) -> Played | None:
    """None unless it is the rows of a round. A loss that is not known was kept as nan once."""
    match stored:
        case [[*result], [*timing]] if all(isinstance(cell, str) for cell in (*result, *timing)):
            if (len(result), len(timing)) == (len(RESULTS_COLUMNS), len(TIMINGS_COLUMNS)):
                return Played(tuple("" if cell == "nan" else cell for cell in result), tuple(timing))
    return None
