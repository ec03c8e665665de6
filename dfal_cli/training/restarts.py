"""Training from several starts, of which the best is taken; one that was stopped goes on after its last epoch."""

import copy
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

from dfal_cli.errors import Interrupted, TryAgainError, UsageError
from dfal_cli.models import Network
from dfal_cli.system.device import is_out_of_memory
from dfal_cli.system.progress import Progress
from dfal_cli.system.reporting import Reporter
from dfal_cli.training.examples import Examples
from dfal_cli.training.fitting import (
    MONITORS,
    Diverged,
    Epoch,
    Kept,
    TrainingRun,
    TrainingSettings,
    best_epoch,
    fit,
    fits,
)
from dfal_cli.training.state import State, TrainingState

CHOSEN = "chosen."
"""Before the names of the weights of the best training that has ended, among those of the one in hand."""


class Trained(NamedTuple):
    """The best network, all epochs of each start, the place of the best."""

    model: Network
    histories: list[list[Epoch]]
    chosen: int


class Restarts:
    """Trainings from one start after the other."""

    def __init__(
        self,
        start: Callable[[int], Network],
        seeds: Sequence[int],
        schedule: TrainingSettings,
        state: TrainingState,
        reporter: Reporter,
    ) -> None:
        """start: a network on its device, made of a seed."""
        self._start = start
        self._seeds = seeds
        self._schedule = schedule
        self._state = state
        self._reporter = reporter
        self._histories: list[list[Epoch]] = []
        self._best = -math.inf, 0
        self._best_weights: dict[str, Tensor] = {}

    def train(self, training: Examples, validation: Examples | None) -> Trained:
        """Train them all, or those that are left.

        Raises UsageError if all diverge, TryAgainError if memory does not suffice, Interrupted after an epoch.
        """
        model, before = self._taken_up()
        done = self._schedule.epochs * len(self._histories) + (len(before.told["history"]) if before else 0)
        total = self._schedule.epochs * len(self._seeds)
        with self._reporter.progress("training", total, "epochs", done) as progress:
            while True:
                if len(self._seeds) > 1:
                    self._reporter.note(f"training {len(self._histories) + 1} of {len(self._seeds)}")
                seed = self._seeds[len(self._histories)]
                course = TrainingRun(model, self._schedule, seed)
                history = self._fitted(course, training, validation, seed, progress, before)
                progress.skip(self._schedule.epochs - len(course.history))
                self._judge(history, model)
                if len(self._histories) == len(self._seeds):
                    break
                model, before = self._new(), None
        if not self._best_weights:
            raise UsageError(f"training diverged: no loss was finite; try an --lr below {self._schedule.lr:g}")
        model.load_state_dict(self._best_weights)
        return Trained(model, self._histories, self._best[1])

    def _fitted(
        self,
        course: TrainingRun,
        training: Examples,
        validation: Examples | None,
        seed: int,
        progress: Progress,
        before: Kept | None,
    ) -> list[Epoch]:
        """The epochs; none if the training diverged."""

        def on_epoch(epoch: Epoch) -> None:
            self._reporter.detail(str(epoch))
            self._state.write_now_and_then(lambda: self._kept(course))
            self._advance(progress, course)

        try:
            return fit(course, training, validation, seed, on_epoch, before, progress.within)
        except Diverged:
            self._reporter.warn(f"training {len(self._histories) + 1} of {len(self._seeds)} diverged")
            return []
        except RuntimeError as error:
            if is_out_of_memory(error):
                smaller = max(1, self._schedule.batch_size // 2)
                raise TryAgainError(f"out of memory; try --batch-size {smaller}") from None
            raise

    def _advance(self, progress: Progress, course: TrainingRun) -> None:
        try:
            progress.advance(1)
        except Interrupted as stopped:
            if self._state.write(self._kept(course)):
                stopped.add_note(f"after {self._place(len(course.history))}; the same command goes on from there")
            raise

    def _judge(self, history: list[Epoch], model: Network) -> None:
        merit = -math.inf
        if history:
            merit = MONITORS[self._schedule.monitor](best_epoch(history, self._schedule.monitor))
        if merit > self._best[0]:
            self._best = merit, len(self._histories)
            self._best_weights = copy.deepcopy(model.state_dict())
        self._histories.append(history)

    def _kept(self, course: TrainingRun) -> State:
        tensors, told = course.kept()
        tensors |= {f"{CHOSEN}{name}": value for name, value in self._best_weights.items()}
        return tensors, {"course": told, "histories": self._histories, "best": self._best}

    def _new(self) -> Network:
        """The network of the next training."""
        return self._start(self._seeds[len(self._histories)])

    def _taken_up(self) -> tuple[Network, Kept | None]:
        """Know the trainings that an earlier call has finished; the network in hand, and what it had come to."""
        state = self._state.read()
        if state is None:
            return self._new(), None
        tensors, told = state
        self._histories = [[Epoch(*epoch) for epoch in history] for history in told["histories"]]
        model, kept = self._new(), Kept(tensors, told["course"])
        if not fits(kept, model):
            self._state.say_that_it_is("of a network of other weights")
            self._histories = []
            return self._new(), None
        self._best = told["best"][0], told["best"][1]
        self._best_weights = {
            name.removeprefix(CHOSEN): value for name, value in tensors.items() if name.startswith(CHOSEN)
        }
        self._reporter.note(f"going on after {self._place(len(told['course']['history']))}")
        return model, kept

    def _place(self, epoch: int) -> str:
        number = len(self._histories) + 1
        return f"epoch {epoch}" + (f" of training {number} of {len(self._seeds)}" if len(self._seeds) > 1 else "")
