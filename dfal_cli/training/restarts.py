"""Training with random restarts: several runs from different seeds, of which the best is kept; runs can be resumed."""

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
from dfal_cli.training.fitting import Diverged, fit
from dfal_cli.training.run import MONITORS, Epoch, Snapshot, TrainingRun, TrainingSettings, best_epoch
from dfal_cli.training.state import State, StateFile
from dfal_cli.training.team import SINGLE, Team

BEST_RUN = "chosen."
"""Prefix of the weights of the best finished run in the state file; those of the current run have other prefixes."""


class Trained(NamedTuple):
    """The result of all restarts."""

    model: Network
    """The best network."""
    histories: list[list[Epoch]]
    """The epochs of each run; empty for a run that diverged."""
    best: int
    """Index of the run that the model comes from."""


class Restarts:
    """Training runs, one per seed, and the best weights so far."""

    def __init__(
        self,
        start: Callable[[int], Network],
        seeds: Sequence[int],
        settings: TrainingSettings,
        state: StateFile,
        reporter: Reporter,
        team: Team = SINGLE,
    ) -> None:
        """start: makes the initial network, on its device, from a seed. state: the file that runs are resumed from.

        team: the processes that train together, all with the same arguments. The state is that of the first one.
        """
        self._start = start
        self._seeds = seeds
        self._settings = settings
        self._state = state
        self._reporter = reporter
        self._team = team
        self._histories: list[list[Epoch]] = []
        self._best = -math.inf, 0
        self._best_weights: dict[str, Tensor] = {}

    def train(self, training: Examples, validation: Examples | None) -> Trained:
        """Run all restarts, or those that an interrupted call has left.

        Raises UsageError if every run diverges, TryAgainError if memory runs out, Interrupted after an epoch.
        """
        model, snapshot = self._resumed()
        done = self._settings.epochs * len(self._histories) + (len(snapshot.values["history"]) if snapshot else 0)
        total = self._settings.epochs * len(self._seeds)
        with self._reporter.progress("training", total, "epochs", done) as progress:
            while True:
                if len(self._seeds) > 1:
                    self._reporter.note(self._run_in_words)
                seed = self._seeds[len(self._histories)]
                run = TrainingRun(model, self._settings, seed)
                history = self._fitted(run, training, validation, seed, progress, snapshot)
                progress.skip(self._settings.epochs - len(run.history))
                self._record(history, model)
                if len(self._histories) == len(self._seeds):
                    break
                model, snapshot = self._next_network(), None
        if not self._best_weights:
            raise UsageError(
                f"training diverged: no run had a finite loss; use a learning rate below {self._settings.lr:g} (--lr)"
            )
        model.load_state_dict(self._best_weights)
        return Trained(model, self._histories, self._best[1])

    def _fitted(
        self,
        run: TrainingRun,
        training: Examples,
        validation: Examples | None,
        seed: int,
        progress: Progress,
        snapshot: Snapshot | None,
    ) -> list[Epoch]:
        """Train one run and return its epochs; none if it diverged."""

        def on_epoch(epoch: Epoch) -> None:
            self._reporter.detail(str(epoch))
            self._state.write_now_and_then(lambda: self._state_of(run))
            self._advance(progress, run)

        try:
            return fit(run, training, validation, seed, on_epoch, snapshot, progress.within, self._team)
        except Diverged:
            self._reporter.warn(f"{self._run_in_words} diverged")
            return []
        except RuntimeError as error:
            if is_out_of_memory(error):
                smaller = max(1, self._settings.batch_size // 2)
                raise TryAgainError(f"out of memory; use a smaller batch: --batch-size {smaller}") from None
            raise

    def _advance(self, progress: Progress, run: TrainingRun) -> None:
        try:
            progress.advance(1)
        except Interrupted as stopped:
            if self._state.write(self._state_of(run)):
                epoch = self._epoch_in_words(len(run.history))
                stopped.add_note(f"after {epoch}; run the same command again to resume")
            raise

    def _record(self, history: list[Epoch], model: Network) -> None:
        """Add a finished run, and copy its weights if it is the best so far."""
        merit = -math.inf
        if history:
            merit = MONITORS[self._settings.monitor](best_epoch(history, self._settings.monitor))
        if merit > self._best[0]:
            self._best = merit, len(self._histories)
            self._best_weights = copy.deepcopy(model.state_dict())
        self._histories.append(history)

    def _state_of(self, run: TrainingRun) -> State:
        tensors, values = run.snapshot()
        tensors |= {f"{BEST_RUN}{name}": value for name, value in self._best_weights.items()}
        return tensors, {"course": values, "histories": self._histories, "best": self._best}

    def _next_network(self) -> Network:
        return self._start(self._seeds[len(self._histories)])

    def _resumed(self) -> tuple[Network, Snapshot | None]:
        """Load what an interrupted call has finished; return the current network and the state of its run."""
        state = self._team.told(self._state.read())
        if state is None:
            return self._next_network(), None
        tensors, values = state
        self._histories = [[Epoch(*epoch) for epoch in history] for history in values["histories"]]
        model, snapshot = self._next_network(), Snapshot(tensors, values["course"])
        if not snapshot.matches(model):
            self._state.report_unusable("from a network with other weights")
            self._histories = []
            return self._next_network(), None
        self._best = values["best"][0], values["best"][1]
        self._best_weights = {
            name.removeprefix(BEST_RUN): value for name, value in tensors.items() if name.startswith(BEST_RUN)
        }
        self._reporter.note(f"resuming after {self._epoch_in_words(len(snapshot.values['history']))}")
        return model, snapshot

    @property
    def _run_in_words(self) -> str:
        return f"training run {len(self._histories) + 1} of {len(self._seeds)}"

    def _epoch_in_words(self, epoch: int) -> str:
        return f"epoch {epoch}" + (f" of {self._run_in_words}" if len(self._seeds) > 1 else "")
