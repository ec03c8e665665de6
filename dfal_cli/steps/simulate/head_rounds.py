"""Plays the rounds of a run of heads on embeddings, in memory: a head takes a fraction of a second.

The rounds are those of `train --embeddings`, `score --embeddings --twins` and `select`, without their files.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from dfal_cli.images.pool import draw_candidates
from dfal_cli.margins.linear import LinearBoundaries
from dfal_cli.schemas import CROSSED, EMBEDDING, IMAGE
from dfal_cli.scoring.linear import score_vectors, tables_of
from dfal_cli.steps.simulate.options import TYPICAL
from dfal_cli.steps.simulate.runs import RoundResult, RoundTask, Simulation, Timer, round_result
from dfal_cli.strategies import STRATEGIES, Pool, pick_queries
from dfal_cli.system.reporting import Silent
from dfal_cli.tables.scores import scores_frame
from dfal_cli.tables.vectors import Values
from dfal_cli.training.head import Head, Targets, fit_head
from dfal_cli.training.measured import evaluation_of


@dataclass(frozen=True)
class EmbeddedImages:
    """The embeddings of the oracle's n images and of t test images, in a file that all processes share."""

    file: Path
    """.npy file of float32 (n + t, d): vectors of unit length, those of the test images last."""
    pool: list[str]
    """The n images of the oracle, sorted."""
    targets: Targets
    """(n,) class indices."""
    test_targets: Targets
    """(t,)"""

    def load(self) -> tuple[Values, Values]:
        """Map the embeddings of the oracle's images, (n, d), and of the test images, (t, d), into memory."""
        vectors: Values = np.load(self.file, mmap_mode="r").view(np.ndarray)
        return vectors[: len(self.pool)], np.array(vectors[len(self.pool) :])


def play(simulation: Simulation[EmbeddedImages], task: RoundTask) -> Iterator[RoundResult]:
    """Play all rounds of the run of the task, and yield their results."""
    run = _Run(simulation, task)
    for number in range(simulation.rounds_per_run):
        yield run.play(task.with_number(number))


class _Run:
    """What is labelled in a run, and what else the next head is trained on. Places are those of images in the pool."""

    def __init__(self, simulation: Simulation[EmbeddedImages], task: RoundTask) -> None:
        data = simulation.data
        self._simulation = simulation
        self._data = data
        self._strategy = STRATEGIES[task.name]
        self._vectors, self._test_vectors = data.load()
        self._pool = pd.DataFrame({IMAGE: data.pool, EMBEDDING: pd.Series(list(self._vectors), dtype=object)})
        self._place_of = {image: place for place, image in enumerate(data.pool)}
        self._labelled = self._initial(task)
        self._twins = self._vectors[:0]
        self._twin_of = np.empty(0, np.intp)
        """Place of the image that each twin belongs to."""
        self._pseudo = np.empty(0, np.intp), np.empty(0, np.intp)
        """Places and class indices of confident predictions, for the next head only."""

    def play(self, task: RoundTask) -> RoundResult:
        """Fit a head to the labels, test it, and query more labels unless the budget is spent."""
        simulation, data = self._simulation, self._data
        labels = [simulation.classes[target] for target in data.targets[self._labelled]]
        count = min(simulation.plan.count, simulation.budget - len(labels))
        timer = Timer()
        head = self._fit()
        measured = evaluation_of(head.logits(self._test_vectors), data.test_targets)
        timer.stop()
        if count:
            self._query(head, count, task)
            timer.stop()
        return round_result(task, labels, simulation.classes, measured.summary(), timer)

    def _initial(self, task: RoundTask) -> Targets:
        """Choose the initial labels, the same for all strategies of a trial."""
        options, plan = self._simulation.options, self._simulation.plan
        seed, pool = self._simulation.seed(task.trial, 0), self._pool
        if options.start == TYPICAL:  # of another half of the pool in each trial, because typical draws nothing itself
            pool = pool.sample(max(plan.initial, len(pool) // 2), random_state=np.random.default_rng(seed))
        return self._places(pick_queries(Pool(pool), options.start, plan.initial, seed))

    def _fit(self) -> Head:
        targets = self._data.targets
        places, predicted = self._pseudo
        return fit_head(
            np.concatenate([self._vectors[self._labelled], self._twins, self._vectors[places]]),
            np.concatenate([targets[self._labelled], targets[self._twin_of], predicted]),
            len(self._simulation.classes),
            groups=np.concatenate([self._labelled, self._twin_of, places]),
        )

    def _query(self, head: Head, count: int, task: RoundTask) -> None:
        """Choose and label more images."""
        seed = self._simulation.seed(task.trial, task.number + 1)
        boundaries = LinearBoundaries(head.weight, head.bias, self._simulation.options.norm)
        pool = self._unlabelled(seed)
        if task.name != "random":
            pool = self._scored(pool, boundaries)
        known = self._vectors[self._labelled] if self._strategy.labelled else None
        queries = pick_queries(Pool(pool, known), task.name, count, seed)
        places = self._places(queries)
        if self._strategy.trains_on_twins:
            self._add_twins(places[(queries["outcome"] == CROSSED).to_numpy()], boundaries)
        if self._strategy.pseudo_labels is not None:
            others = pool[~pool[IMAGE].isin(queries[IMAGE])]
            names = self._strategy.pseudo_labels(others, task.number)
            classes = self._simulation.classes
            self._pseudo = self._places(others.loc[names.index]), np.array([*map(classes.index, names)], np.intp)
        self._labelled = np.concatenate([self._labelled, places])

    def _unlabelled(self, seed: int) -> pd.DataFrame:
        """The pool, or the candidates that are drawn from it."""
        images = np.delete(self._data.pool, self._labelled).tolist()
        drawn = draw_candidates(images, self._simulation.options.candidates, seed)
        return self._pool.iloc[[self._place_of[image] for image in drawn]].reset_index(drop=True)

    def _scored(self, pool: pd.DataFrame, boundaries: LinearBoundaries) -> pd.DataFrame:
        """The pool with the columns of its scores, and the measures that the strategy needs."""
        vectors = self._vectors[self._places(pool)]
        measures = [name for name in self._strategy.needs if name != EMBEDDING]
        rows = score_vectors(pool[IMAGE].tolist(), vectors, boundaries, Silent())
        tables = tables_of(rows, vectors, boundaries, self._simulation.classes, measures)
        scores = pd.concat(map(scores_frame, tables), ignore_index=True)
        return scores.assign(**{EMBEDDING: pool[EMBEDDING]})

    def _add_twins(self, places: Targets, boundaries: LinearBoundaries) -> None:
        """Add the twins of images that have a margin; those not clearly across the boundary are left out."""
        twins, across = boundaries.across(self._vectors[places], self._simulation.options.overshoot)
        self._twins = np.concatenate([self._twins, twins[across]])
        self._twin_of = np.concatenate([self._twin_of, places[across]])

    def _places(self, table: pd.DataFrame) -> Targets:
        return np.array([self._place_of[image] for image in table[IMAGE]], np.intp)
