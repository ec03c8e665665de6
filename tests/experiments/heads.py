"""Rounds of labelling on embeddings, in memory: the heads, scores and queries of the commands, without their files."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from dfal_cli.margins.linear import LinearBoundaries
from dfal_cli.schemas import EMBEDDING
from dfal_cli.scoring.linear import score_vectors, tables_of
from dfal_cli.strategies import STRATEGIES, Pool
from dfal_cli.strategies.control import pick_with_control
from dfal_cli.system.reporting import Silent
from dfal_cli.tables.embeddings import read_embeddings
from dfal_cli.tables.scores import scores_frame
from dfal_cli.tables.vectors import Values, unit_length
from dfal_cli.training.head import STRENGTH, Head, Targets, fit_head, held_out_logits


class Embedded(NamedTuple):
    """A data set: n images of the pool and t test images, as unit-length embeddings, with their labels."""

    images: list[str]
    vectors: Values
    """(n, d)"""
    targets: Targets
    """(n,)"""
    test_vectors: Values
    """(t, d)"""
    test_targets: Targets
    """(t,)"""
    classes: list[str]

    @classmethod
    def of(cls, data: Path, name: str) -> "Embedded":
        """Read a data set of prepare.py and its embeddings."""
        oracle, test = (pd.read_csv(data / f"{name}_{part}.csv", dtype=str) for part in ("train", "test"))
        found = read_embeddings(data / f"{name}_lite0.parquet")
        row_of = {image: row for row, image in enumerate(found.images)}
        vectors, classes = unit_length(found.vectors), sorted(set(oracle["label"]))
        oracle = oracle.sort_values("image")
        parts = [vectors[[row_of[image] for image in table["image"]]] for table in (oracle, test)]
        labels = [np.array([classes.index(label) for label in table["label"]], np.intp) for table in (oracle, test)]
        return cls(oracle["image"].tolist(), parts[0], labels[0], parts[1], labels[1], classes)


class Round(NamedTuple):
    """A round: a head, its scores of the pool, and the list that follows."""

    labelled: Targets
    """Places of the labelled images among all."""
    pool: Targets
    """Places of the pool."""
    scores: pd.DataFrame
    """The scores file, by row of `pool`; None of the rows is labelled."""
    is_right: npt.NDArray[np.bool_]
    """Of each row, whether the head predicts its label."""
    queries: pd.DataFrame
    """The list, in rank order, with a column `control`, and `place` among all images."""
    test_accuracy: float
    head: Head

    def cross_validated(self, data: Embedded) -> float:
        """Accuracy on the labelled images, each predicted by a head that was not trained on it, as `train` reports."""
        targets = data.targets[self.labelled]
        logits = held_out_logits(data.vectors[self.labelled], targets, len(data.classes), strength=self.head.strength)
        return float((logits.argmax(1) == targets).mean())


def rounds(
    data: Embedded, strategy: str, initial: int, count: int, number: int, seed: int, control: float = 0.0
) -> Iterator[Round]:
    """Play rounds with a random first list; each further one is the strategy's, with a control slice."""
    generator = np.random.default_rng(seed)
    labelled = generator.permutation(len(data.images))[:initial]
    for step in range(number):
        head = fit_head(data.vectors[labelled], data.targets[labelled], len(data.classes), strength=STRENGTH)
        pool = np.setdiff1d(np.arange(len(data.images)), labelled)
        vectors = data.vectors[pool]
        boundaries = LinearBoundaries(head.weight, head.bias, "l2")
        names = [data.images[place] for place in pool]
        rows = score_vectors(names, vectors, boundaries, Silent())
        tables = tables_of(rows, vectors, boundaries, data.classes, [])
        scores = pd.concat(map(scores_frame, tables), ignore_index=True)
        with_vectors = scores.assign(**{EMBEDDING: pd.Series(list(vectors), dtype=object), "place": pool})
        known = data.vectors[labelled] if STRATEGIES[strategy].labelled else None
        queries = pick_with_control(Pool(with_vectors, known), strategy, count, seed * 1000 + step, control)
        tested = (head.logits(data.test_vectors).argmax(1) == data.test_targets).mean()
        is_right = head.logits(vectors).argmax(1) == data.targets[pool]
        yield Round(labelled, pool, scores, is_right, queries, float(tested), head)
        labelled = np.concatenate([labelled, queries["place"].to_numpy(np.intp)])
