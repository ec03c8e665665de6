"""Find labels that were flipped at random, with `dfal review` and with cleanlab.

    python tests/experiments/review/review.py DATA OUT [TRIALS] [DATA_SET ...]

DATA has <data set>_lite0.parquet, the embeddings, and <data set>_train.csv. Needs dfal-cli[benchmark].
"""

import csv
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from cleanlab.classification import CleanLearning
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores

from dfal_cli.statistics.label_errors import probably_wrong
from dfal_cli.steps.review.folds import probabilities_of_heads
from dfal_cli.steps.review.labelled import Labelled
from dfal_cli.strategies.copies import copy_groups
from dfal_cli.system.reporting import Silent
from dfal_cli.tables.embeddings import read_embeddings
from dfal_cli.tables.vectors import unit_length
from dfal_cli.training.head import STRENGTH, held_out_logits, softmax

FLIPPED = 0.05
LABELS_PER_CLASS = {"mnist": 300}
COLUMNS = ("data", "trial", "method", "flipped", "found_at_flipped", "listed", "found")


def read(data: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the embeddings of the training images, (n, d), and their classes, (n,)."""
    table = pd.read_csv(data / f"{name}_train.csv", dtype=str, keep_default_na=False)
    table = table.groupby("label").head(LABELS_PER_CLASS.get(name, len(table)))
    file = read_embeddings(data / f"{name}_lite0.parquet", names=set(table["image"]))
    labels = table.set_index("image")["label"][file.images]
    return file.vectors, np.unique(labels, return_inverse=True)[1]


def flip(targets: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Give a random part of the examples another class, each with the same probability."""
    rows = generator.choice(len(targets), round(FLIPPED * len(targets)), replace=False)
    flipped, classes = targets.copy(), targets.max() + 1
    flipped[rows] = (flipped[rows] + generator.integers(1, classes, len(rows))) % classes
    return flipped


Order = np.ndarray
"""The examples, the most doubtful first."""


def methods(vectors: np.ndarray, groups: np.ndarray, labels: np.ndarray) -> Iterator[tuple[str, Order, np.ndarray]]:
    """Yield each method with its order of all examples and the examples that it lists."""
    unit, classes = unit_length(vectors), labels.max() + 1
    names = tuple(map(str, range(classes)))
    labelled = Labelled(pd.DataFrame(), names, labels, groups, pd.Series(dtype=bool), {})
    two = probabilities_of_heads(labelled, unit, Silent())
    one = softmax(held_out_logits(unit, labels, classes, strength=STRENGTH, groups=groups))
    rows = np.arange(len(labels))
    for name, probabilities in (("review", two), ("review, fitted once", one)):
        yield name, probabilities[rows, labels].argsort(kind="stable"), probably_wrong(probabilities, labels)
    for name, probabilities in (("cleanlab, review's probabilities", two), ("cleanlab, fitted once", one)):
        for score in ("self_confidence", "normalized_margin"):
            order = get_label_quality_scores(labels, probabilities, method=score).argsort(kind="stable")
            yield f"{name}, {score}", order, np.flatnonzero(find_label_issues(labels, probabilities, n_jobs=1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its logistic regression stops before it has converged
        found = CleanLearning(seed=0).find_label_issues(vectors, labels)
    yield (
        "cleanlab's pipeline",
        found["label_quality"].to_numpy().argsort(kind="stable"),
        np.flatnonzero(found["is_label_issue"]),
    )


def trial_of(data: str, vectors: np.ndarray, targets: np.ndarray, trial: int) -> Iterator[dict[str, Any]]:
    """Yield the row of each method."""
    labels = flip(targets, np.random.default_rng(trial))
    is_flipped = labels != targets
    count = int(is_flipped.sum())
    for name, order, listed in methods(vectors, copy_groups(unit_length(vectors)), labels):
        yield {
            "data": data, "trial": trial, "method": name, "flipped": count,
            "found_at_flipped": int(is_flipped[order[:count]].sum()),
            "listed": len(listed), "found": int(is_flipped[listed].sum()),
        }  # fmt: skip


def main(folder: Path, out: Path, trials: int, names: list[str]) -> None:
    """Write a row per data set, trial and method."""
    with out.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for name in names:
            vectors, targets = read(folder, name)
            for trial in range(trials):
                writer.writerows(trial_of(name, vectors, targets, trial))
                handle.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int((sys.argv[3:4] or [20])[0]), sys.argv[4:] or ["clothing10", "mnist"])
