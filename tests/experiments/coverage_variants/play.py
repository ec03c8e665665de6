"""How `coverage` was chosen: variants of it, changed in one respect each, and simpler ways beside them.

    python tests/experiments/coverage_variants/play.py DATA accuracies.csv

DATA is the folder that prepare.py has filled, with embeddings by lite0. In a trial all variants start from the same
two labels per class, chosen by `typical` of another half of the pool each time, and ask about two per class in each
round. `coverage` itself is played by the same few lines as its variants. The table has the mean test accuracy of each
run over its 15 rounds. A run that was interrupted goes on when it is started again.
"""

import csv
import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from dfal_cli.strategies.directions import Directions
from dfal_cli.strategies.typical import typical_points
from dfal_cli.tables.embeddings import read_embeddings
from dfal_cli.tables.vectors import unit_length
from dfal_cli.training.head import fit_head
from dfal_cli.training.measured import evaluation_of

COLUMNS = ("data_set", "variant", "trial", "accuracy", "balanced_accuracy")
DATA_SETS = ("clothing10", "trashnet")
TRIALS, ROUNDS, LABELS_PER_CLASS = 20, 15, 2

Numbers = npt.NDArray[np.floating]
Positions = npt.NDArray[np.intp]


class Seen(NamedTuple):
    """What a variant chooses by: logits (n, K) and embeddings (n, d) of the pool, and embeddings of the labelled."""

    logits: Numbers
    pool: Numbers
    labelled: Numbers

    def probabilities(self, temperature: float = 1) -> Numbers:
        """The softmax of the logits, (n, K)."""
        powers = np.exp((self.logits - self.logits.max(1, keepdims=True)) / temperature)
        return powers / powers.sum(1, keepdims=True)

    def gaps(self, temperature: float = 1) -> Numbers:
        """The two highest probabilities' difference, (n,)."""
        ordered = np.sort(self.probabilities(temperature), axis=1)
        return ordered[:, -1] - ordered[:, -2]

    def entropies(self) -> Numbers:
        """The entropy as a share of that of chance, (n,)."""
        probabilities = self.probabilities()
        return -(probabilities * np.log(probabilities + 1e-12)).sum(1) / np.log(probabilities.shape[1])


Variant = Callable[[Seen, int, np.random.Generator], Positions]
"""Positions of the images to ask about: what is seen, their number, and a generator."""


def gaussian(squares: Numbers) -> Numbers:
    return np.exp(-squares)


def laplacian(squares: Numbers) -> Numbers:
    return np.exp(-np.sqrt(squares))


def triangular(squares: Numbers) -> Numbers:
    return np.maximum(1 - np.sqrt(squares) / 2, 0)


def squared_distances(some: Numbers, others: Numbers) -> Numbers:
    squares = (some**2).sum(1)[:, None] + (others**2).sum(1) - 2 * some @ others.T
    return np.maximum(squares, 0)


def coverage(
    uncertainty: Callable[[Seen], Numbers] = lambda seen: 1 - seen.gaps(), *, quantile: float = 0.5, factor: float = 1,
    kernel: Callable[[Numbers], Numbers] = gaussian, from_mean: bool = True, picks_uncertain: bool = False,
) -> Variant:  # fmt: skip
    """Greedy coverage.

    The width of the kernel is `factor` times this quantile of the squared distances to the nearest labelled image.
    from_mean: compare embeddings as directions from the mean of the pool. picks_uncertain: weight the gain of an image
    by its own uncertainty, too.
    """

    def pick(seen: Seen, count: int, generator: np.random.Generator) -> Positions:
        pool, labelled = seen.pool, seen.labelled
        if from_mean:
            directions = Directions.from_mean_of(pool)
            pool, labelled = directions.of(pool), directions.of(labelled)
        nearest = squared_distances(pool, labelled).min(1)
        width = factor * np.quantile(nearest, quantile)
        weights = uncertainty(seen)
        own = weights if picks_uncertain else np.ones(len(weights))
        return greedy(kernel(squared_distances(pool, pool) / width), kernel(nearest / width), weights, own, count)

    return pick


def greedy(similar: Numbers, covered: Numbers, weights: Numbers, own: Numbers, count: int) -> Positions:
    """The images with the largest gains of weighted coverage, one after the other (lazily: gains never grow)."""
    picked: list[int] = []
    gains = np.maximum(similar - covered, 0) @ weights * own
    while len(picked) < count:
        best = int(gains.argmax())
        gain = np.maximum(similar[best] - covered, 0) @ weights * own[best]
        if gain < gains[best] - 1e-12:
            gains[best] = gain
            continue
        picked.append(best)
        covered, gains[best] = np.maximum(covered, similar[best]), -1
    return np.array(picked)


def probability_gap(seen: Seen, count: int, generator: np.random.Generator) -> Positions:
    return seen.gaps().argsort(kind="stable")[:count]


def power_margin(power: float) -> Variant:
    """Draw images in proportion to a power of 1 minus the gap (Kirsch and others, arXiv:2106.12059)."""

    def pick(seen: Seen, count: int, generator: np.random.Generator) -> Positions:
        drawn = power * np.log(1 - seen.gaps() + 1e-12) + generator.gumbel(size=len(seen.pool))
        return (-drawn).argsort(kind="stable")[:count]

    return pick


def at_random(seen: Seen, count: int, generator: np.random.Generator) -> Positions:
    return generator.permutation(len(seen.pool))[:count]


VARIANTS: dict[str, Variant] = {
    "coverage": coverage(),
    "embeddings with their mean": coverage(from_mean=False),
    "width x 1/4": coverage(factor=1 / 4),
    "width x 1/2": coverage(factor=1 / 2),
    "width x 2": coverage(factor=2),
    "width x 4": coverage(factor=4),
    "width: quantile .25": coverage(quantile=0.25),
    "kernel exp(-d)": coverage(kernel=laplacian),
    "kernel 1 - d/2": coverage(kernel=triangular),
    "no uncertainty": coverage(lambda seen: np.ones(len(seen.pool))),
    "uncertainty: root of the gap's": coverage(lambda seen: (1 - seen.gaps()) ** 0.5),
    "uncertainty: square of the gap's": coverage(lambda seen: (1 - seen.gaps()) ** 2),
    "uncertainty: entropy": coverage(Seen.entropies),
    "uncertainty: 1 - confidence": coverage(lambda seen: 1 - seen.probabilities().max(1)),
    "temperature 1/2": coverage(lambda seen: 1 - seen.gaps(0.5)),
    "temperature 2": coverage(lambda seen: 1 - seen.gaps(2)),
    "gain x own uncertainty": coverage(picks_uncertain=True),
    "probability-gap": probability_gap,
    "power-margin, power 1": power_margin(1),
    "power-margin, power 4": power_margin(4),
    "random": at_random,
}


class Data(NamedTuple):
    """Embeddings of unit length and classes, of a pool and of test images."""

    pool: Numbers
    targets: Positions
    test: Numbers
    test_targets: Positions
    classes: int

    @classmethod
    def of(cls, folder: Path, name: str) -> "Data":
        images, vectors, _, _ = read_embeddings(folder / f"{name}_lite0.parquet")
        place = {image: row for row, image in enumerate(images)}
        vectors = unit_length(vectors)
        tables = [pd.read_csv(folder / f"{name}_{part}.csv", dtype=str) for part in ("train", "test")]
        classes = sorted(set(tables[0]["label"]))
        pool, test = (vectors[table["image"].map(place)] for table in tables)
        targets, test_targets = (table["label"].map(classes.index).to_numpy() for table in tables)
        return cls(pool, targets, test, test_targets, len(classes))


def mean_accuracies(data: Data, variant: Variant, trial: int) -> tuple[float, float]:
    """Play a run; return the means of accuracy and balanced accuracy over its rounds."""
    batch, generator = LABELS_PER_CLASS * data.classes, np.random.default_rng(trial)
    half = np.sort(generator.choice(len(data.pool), len(data.pool) // 2, replace=False))
    labelled = half[typical_points(data.pool[half], None, batch, generator)]
    rounds = []
    for number in range(ROUNDS):
        head = fit_head(data.pool[labelled], data.targets[labelled], data.classes)
        measured = evaluation_of(head.logits(data.test), data.test_targets)
        rounds.append((measured.accuracy, measured.balanced_accuracy))
        left = np.setdiff1d(np.arange(len(data.pool)), labelled)
        seen = Seen(head.logits(data.pool[left]), data.pool[left], data.pool[labelled])
        picked = variant(seen, batch, np.random.default_rng([trial, number]))
        labelled = np.concatenate([labelled, left[picked]])
    accuracy, balanced = np.mean(rounds, axis=0)
    return float(accuracy), float(balanced)


def main(folder: Path, out: Path) -> None:
    """Play the runs that are missing."""
    done = set(pd.read_csv(out)[list(COLUMNS[:3])].itertuples(index=False, name=None)) if out.exists() else set()
    with out.open("a", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        if not done:
            writer.writerow(COLUMNS)
        for name in DATA_SETS:
            data = Data.of(folder, name)
            for trial, (label, variant) in itertools.product(range(1, TRIALS + 1), VARIANTS.items()):
                if (name, label, trial) not in done:
                    figures = mean_accuracies(data, variant, trial)
                    writer.writerow([name, label, trial, *(f"{figure:.6f}" for figure in figures)])
                    handle.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
