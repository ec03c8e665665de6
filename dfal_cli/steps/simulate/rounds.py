"""Plays a round of a run of networks on images, with the steps that the commands call.

The folder of an unfinished run has one folder per round, with the labels at the end of the round, and `done.json` once
the round is finished. A killed simulation continues after the last finished round.
"""

import functools
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from dfal_cli.errors import TryAgainError
from dfal_cli.images import PreparedImages
from dfal_cli.images.pool import draw_candidates, find_pool
from dfal_cli.schemas import IMAGE, LABEL, LABELLED_SUFFIX, PSEUDO_SUFFIX, TWIN
from dfal_cli.steps.merge.command import merge
from dfal_cli.steps.merge.options import MergeOptions
from dfal_cli.steps.option import values_of
from dfal_cli.steps.option_groups import ComputingOptions, MarginOptions, NetworkOptions, SeedOption, TrainingOptions
from dfal_cli.steps.result import Result
from dfal_cli.steps.score.command import score
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.steps.select.command import select
from dfal_cli.steps.select.options import SelectOptions
from dfal_cli.steps.simulate.runs import (
    ROUND_FILE,
    RoundResult,
    RoundTask,
    Simulation,
    Timer,
    read_round,
    round_result,
)
from dfal_cli.steps.train.command import train
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.strategies import STRATEGIES
from dfal_cli.system.device import release_kept_pixels
from dfal_cli.system.files import beside
from dfal_cli.system.reporting import Silent
from dfal_cli.system.state_files import write_json
from dfal_cli.tables import labelled_rows, read_labels, read_labels_files, read_queries, write_csv
from dfal_cli.tables.twins import TWINS_SUFFIX

INITIAL = "initial"
"""The folder of the initial labels; the other folders are numbered like the rounds."""

LABELS, CHECKPOINT, QUERIES, SCORES = (
    "labels.csv", "model.safetensors", "queries.csv", "scores.parquet",
)  # fmt: skip


def play(simulation: Simulation[PreparedImages], task: RoundTask) -> Iterator[RoundResult]:
    """Play a round whose predecessors are finished, unless it is finished too, and yield its result."""
    run_folder = simulation.folder / task.run.title
    folder = run_folder / str(task.number)
    result = read_round(folder / ROUND_FILE)
    if result is None:
        shutil.rmtree(folder, ignore_errors=True)
        previous = run_folder / (str(task.number - 1) if task.number else INITIAL)
        result = _Round(simulation, task, folder, previous).play()
        write_json(folder / ROUND_FILE, result[:2])
        _remove(folder, CHECKPOINT, f"trained-{CHECKPOINT}", SCORES, f"{SCORES}{LABELLED_SUFFIX}", QUERIES)
        _remove_unused_twins(folder)
    yield result


class _Round:
    """One round of a run."""

    def __init__(self, simulation: Simulation[PreparedImages], task: RoundTask, folder: Path, previous: Path) -> None:
        """previous: the folder of the previous round, or that of the initial labels."""
        self._simulation = simulation
        self._options = replace(
            simulation.options,
            seed=simulation.seed(task.trial, task.number + 1),
            white=simulation.data.input_format.white,
        )
        self._strategy = STRATEGIES[task.name]
        self._name = task.name
        self._is_random = task.name == "random"
        self._task = task
        self._number = task.number
        self._initial_seed = simulation.seed(task.trial, 0)
        self._folder = folder
        self._previous = previous
        self._reporter = Silent()

    def play(self) -> RoundResult:
        """Train on the labels, test the network, and query more labels unless the budget is spent."""
        labels = self._previous / LABELS
        if not self._number and not labels.exists():
            self._draw_initial_labels()
        known = labelled_rows(read_labels(labels))[LABEL]
        count = min(self._simulation.plan.count, self._simulation.budget - len(known))
        timer = Timer()
        metrics = self._train(labels, for_queries=count > 0 and not self._is_random)
        timer.stop()
        if count:
            self._query(count, labels)
            timer.stop()
        return round_result(
            self._task, known.tolist(), self._simulation.classes, metrics, timer, self._reporter.warnings
        )

    def _draw_initial_labels(self) -> None:
        """Draw random labels, the same for all strategies of a trial. Training repeats the warnings about them."""
        shutil.rmtree(self._previous, ignore_errors=True)
        silent = Silent()
        selection = SelectOptions(
            count=self._simulation.plan.initial, out=self._previous / QUERIES, images=self._options.images,
            strategy="random", seed=self._initial_seed,
        )  # fmt: skip
        select(selection, silent, self._simulation.data)
        self._answer(self._previous, self._previous / LABELS, silent)

    def _train(self, labels: Path, *, for_queries: bool) -> dict[str, Any]:
        """Train the network that is measured and return its test metrics.

        for_queries: with --train-arch, also train the network that scores the pool.
        """
        options = self._options
        pseudo_labels = beside(self._previous / QUERIES, PSEUDO_SUFFIX)
        training = TrainOptions(
            images=options.images, labels=[labels], out=self._folder / CHECKPOINT, test=options.test,
            pseudo_labels=[pseudo_labels] if pseudo_labels.exists() else [], class_names=self._simulation.classes,
            twins=self._strategy.trains_on_twins, trust_code=True,
            **values_of(options, TrainingOptions, NetworkOptions, ComputingOptions, SeedOption),
        )  # fmt: skip
        if options.train_arch:
            if for_queries:
                self._trained(training)
            training = replace(training, out=self._folder / f"trained-{CHECKPOINT}", arch=options.train_arch)
        metrics: dict[str, Any] = self._trained(training).details["test"]
        return metrics

    def _trained(self, training: TrainOptions) -> Result:
        """Train a network; if memory runs out, once more without the pixels of the pool that stay on the GPU."""
        run = functools.partial(train, training, self._reporter, self._simulation.data, warn_if_not_learnt=False)
        try:
            return run()
        except TryAgainError:
            if not release_kept_pixels():
                raise
        return run()

    def _query(self, count: int, labels: Path) -> None:
        """Select queries, answer them from the oracle, and merge the answers."""
        selection = SelectOptions(
            count=count, out=self._folder / QUERIES, labels=[labels], strategy=self._name,
            round=self._number, seed=self._options.seed,
        )  # fmt: skip
        if self._is_random:
            select(replace(selection, images=self._options.images), self._reporter, self._candidates(labels))
        else:
            self._score(count, labels)
            select(replace(selection, scores=self._folder / SCORES), self._reporter, self._simulation.data)
        self._answer(self._folder, labels, self._reporter)

    def _score(self, count: int, labels: Path) -> None:
        options, strategy = self._options, self._strategy
        nearest = strategy.nearest * count
        scoring = ScoreOptions(
            images=options.images, checkpoint=self._folder / CHECKPOINT, out=self._folder / SCORES, labels=[labels],
            nearest=nearest, twins=nearest if strategy.trains_on_twins else 0, measure=list(strategy.needs),
            trust_code=True, **values_of(options, MarginOptions, ComputingOptions, SeedOption),
        )  # fmt: skip
        score(scoring, self._reporter, self._simulation.data)

    def _candidates(self, labels: Path) -> PreparedImages:
        """The images that the random strategy chooses from: the same sample that `score` draws for the others."""
        images = self._simulation.data
        if self._options.candidates is None:
            return images
        pool = find_pool(images, [labels], [], self._reporter).listing.images
        return replace(images, pool=draw_candidates(pool, self._options.candidates, self._options.seed))

    def _answer(self, folder: Path, labels: Path, reporter: Silent) -> None:
        """Fill in the query list of the folder from the oracle, and merge it with `labels` into the folder's labels."""
        queries = folder / QUERIES
        table = read_queries(queries)
        write_csv(queries, table.assign(**{LABEL: table[IMAGE].map(self._simulation.answers)}))
        classes = self._simulation.classes
        merge(MergeOptions(queries=queries, labels=labels, out=folder / LABELS, class_names=classes), reporter)


def _remove(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)


def _remove_unused_twins(folder: Path) -> None:
    """Remove the twins that the labels do not refer to: dfal-diverse keeps those of all its candidates."""
    twins = beside(folder / SCORES, TWINS_SUFFIX)
    if twins.exists():
        used = {Path(twin).resolve() for twin in read_labels_files([folder / LABELS])[TWIN] if twin}
        for twin in twins.rglob("*.npy"):
            if twin.resolve() not in used:
                twin.unlink()
