"""The rounds of one strategy in one trial of a simulation, which go on where they were when they were killed.

A run's folder holds one for each round, with the labels as they are at its end, and `done.json` when that has come.
A run that has ended is one file, and has no folder any more.
"""

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dfal_cli.images import PreparedImages
from dfal_cli.images.pool import draw_candidates, find_pool
from dfal_cli.schemas import IMAGE, LABEL, LABELLED_SUFFIX, PSEUDO_SUFFIX, TWIN
from dfal_cli.steps.merge.command import merge
from dfal_cli.steps.merge.options import MergeOptions
from dfal_cli.steps.option import values_of
from dfal_cli.steps.option_groups import ComputingOptions, MarginOptions, NetworkOptions, SeedOption, TrainingOptions
from dfal_cli.steps.score.command import score
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.steps.select.command import select
from dfal_cli.steps.select.options import SelectOptions
from dfal_cli.steps.simulate.simulation import DONE, Played, Simulation, Turn, round_in
from dfal_cli.steps.train.command import train
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.strategies import STRATEGIES
from dfal_cli.system.files import beside
from dfal_cli.system.reporting import Silent
from dfal_cli.system.state_files import write_json
from dfal_cli.tables import labelled_rows, read_labels, read_labels_files, read_queries, write_csv
from dfal_cli.tables.twins import TWINS_SUFFIX

INITIAL = "initial"
"""The folder of the first labels; the others are those of rounds."""

LABELS, CHECKPOINT, QUERIES, SCORES = (
    "labels.csv", "model.safetensors", "queries.csv", "scores.parquet",
)  # fmt: skip


def play(simulation: Simulation, turn: Turn) -> Iterator[Played]:
    """Play a round, unless it is there, and yield it. The rounds before it are there."""
    folder = simulation.folder / turn.run.title
    here = folder / str(turn.number)
    played = round_in(here / DONE)
    if played is None:
        shutil.rmtree(here, ignore_errors=True)
        played = _Round(simulation, turn, here, folder / (str(turn.number - 1) if turn.number else INITIAL)).play()
        write_json(here / DONE, played[:2])
        _remove(here, CHECKPOINT, f"trained-{CHECKPOINT}", SCORES, f"{SCORES}{LABELLED_SUFFIX}", QUERIES)
        _remove_spare_twins(here)
    yield played


class _Round:
    """A round, and the steps as it calls them: the same ones that the commands call."""

    def __init__(self, simulation: Simulation, turn: Turn, here: Path, before: Path) -> None:
        """before: the folder of the round before, or that of the initial labels."""
        self._simulation = simulation
        self._options = replace(
            simulation.options,
            seed=simulation.seed(turn.trial, turn.number + 1),
            white=simulation.images.input_format.white,
        )
        self._strategy = STRATEGIES[turn.name]
        self._name = turn.name
        self._is_random = turn.name == "random"
        self._place = (turn.name, str(turn.trial), str(turn.number))
        self._number = turn.number
        self._first_seed = simulation.seed(turn.trial, 0)
        self._here = here
        self._before = before
        self._steps = Silent()

    def play(self) -> Played:
        """Train on the labels, measure, and ask for further ones unless the budget is spent."""
        labels = self._before / LABELS
        if not self._number and not labels.exists():
            self._begin()
        known = labelled_rows(read_labels(labels))[LABEL]
        wanted = min(self._options.count, self._simulation.budget - len(known))
        started = time.perf_counter()
        metrics = self._train(labels, asks=wanted > 0 and not self._is_random)
        trained = time.perf_counter()
        if wanted:
            self._ask(wanted, labels)
        queried = time.perf_counter()
        numbers = (metrics["accuracy"], metrics["loss"], _entropy(known))
        return Played(
            (*self._place, str(len(known)), *map(_cell, numbers)),
            (*self._place, f"{trained - started:.3f}", f"{queried - trained:.3f}" if wanted else ""),
            tuple(self._steps.warnings),
        )

    def _begin(self) -> None:
        """Random labels, the same for all strategies of a trial. What is said of them the training says too."""
        shutil.rmtree(self._before, ignore_errors=True)
        silent = Silent()
        picking = SelectOptions(
            count=self._options.initial, out=self._before / QUERIES, images=self._options.images,
            strategy="random", seed=self._first_seed,
        )  # fmt: skip
        select(picking, silent, self._simulation.images)
        self._answer(self._before, self._before / LABELS, silent)

    def _train(self, labels: Path, asks: bool) -> dict[str, Any]:
        """Train the network to be measured, and the one that `asks` if that is another."""
        options = self._options
        guesses = beside(self._before / QUERIES, PSEUDO_SUFFIX)
        training = TrainOptions(
            images=options.images, labels=[labels], out=self._here / CHECKPOINT, test=options.test,
            pseudo_labels=[guesses] if guesses.exists() else [], class_names=self._simulation.classes,
            twins=self._strategy.trains_on_twins, trust_code=True,
            **values_of(options, TrainingOptions, NetworkOptions, ComputingOptions, SeedOption),
        )  # fmt: skip
        if options.train_arch:
            if asks:
                train(training, self._steps, self._simulation.images, judged=False)
            training = replace(training, out=self._here / f"trained-{CHECKPOINT}", arch=options.train_arch)
        metrics: dict[str, Any] = train(training, self._steps, self._simulation.images, judged=False).details["test"]
        return metrics

    def _ask(self, count: int, labels: Path) -> None:
        """Pick queries, let the oracle answer them, merge."""
        picking = SelectOptions(
            count=count, out=self._here / QUERIES, labels=[labels], strategy=self._name,
            round=self._number, seed=self._options.seed,
        )  # fmt: skip
        if self._is_random:
            select(replace(picking, images=self._options.images), self._steps, self._candidates(labels))
        else:
            self._score(count, labels)
            select(replace(picking, scores=self._here / SCORES), self._steps, self._simulation.images)
        self._answer(self._here, labels, self._steps)

    def _score(self, count: int, labels: Path) -> None:
        options, strategy = self._options, self._strategy
        nearest = strategy.nearest * count
        scoring = ScoreOptions(
            images=options.images, checkpoint=self._here / CHECKPOINT, out=self._here / SCORES, labels=[labels],
            nearest=nearest, twins=nearest if strategy.trains_on_twins else 0, measure=list(strategy.needs),
            trust_code=True, **values_of(options, MarginOptions, ComputingOptions, SeedOption),
        )  # fmt: skip
        score(scoring, self._steps, self._simulation.images)

    def _candidates(self, labels: Path) -> PreparedImages:
        """The images among which `score` would have others choose."""
        images = self._simulation.images
        if self._options.candidates is None:  # all, as `select` finds them
            return images
        pool = find_pool(images, [labels], [], self._steps.warn).listing.images
        return replace(images, pool=draw_candidates(pool, self._options.candidates, self._options.seed))

    def _answer(self, folder: Path, labels: Path, steps: Silent) -> None:
        """The oracle fills in the list in the folder, as a person would; the answers join `labels`, as the folder's."""
        queries = folder / QUERIES
        table = read_queries(queries)
        write_csv(queries, table.assign(**{LABEL: table[IMAGE].map(self._simulation.answers)}))
        classes = self._simulation.classes
        merge(MergeOptions(queries=queries, labels=labels, out=folder / LABELS, class_names=classes), steps)


def _cell(number: float | None) -> str:
    """Nothing is written for a loss that is not known: none of a training that has gone astray is."""
    return "" if number is None else f"{number:.6f}"


def _entropy(labels: "pd.Series[str]") -> float:
    """Entropy in nats of how the labels are spread over classes: low where a strategy asks about few of them."""
    shares = labels.value_counts(normalize=True).to_numpy()
    return max(0.0, float(-(shares * np.log(shares)).sum()))  # of one class it would be -0


def _remove(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)


def _remove_spare_twins(folder: Path) -> None:
    """The twins of a round that its labels do not refer to: dfal-diverse has those of all among which it chooses."""
    kept = beside(folder / SCORES, TWINS_SUFFIX)
    if kept.exists():
        used = {Path(twin).resolve() for twin in read_labels_files([folder / LABELS])[TWIN] if twin}
        for twin in kept.rglob("*.npy"):
            if twin.resolve() not in used:
                twin.unlink()
