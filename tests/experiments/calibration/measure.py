"""What the temperature found by cross-validation is worth on a test set: heads on photographs, 100 and 300 labels.

python tests/experiments/calibration/measure.py DATA > tests/experiments/calibration/calibration.csv

DATA holds NAME_lite0.parquet (`dfal embed`), NAME_train.csv and NAME_test.csv of each data set.
"""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from dfal_cli.statistics.calibration import error_of_logits, fitted_temperature, loss
from dfal_cli.tables.embeddings import read_embeddings
from dfal_cli.tables.vectors import unit_length
from dfal_cli.training.head import Head, fit_head, held_out_logits
from dfal_cli.training.temperature import calibration_in

COLUMNS = (
    "data", "labels", "chosen", "trial", "accuracy", "temperature", "best_temperature", "loss_before", "loss_after",
    "error_before", "error_after",
)  # fmt: skip
TRIALS = 20
INITIAL, BATCH = 100, 50


class Data:
    """Embeddings of unit length and class indices of the training and test images."""

    def __init__(self, folder: Path, name: str) -> None:
        file = read_embeddings(folder / f"{name}_lite0.parquet")
        vector_of = dict(zip(file.images, unit_length(file.vectors), strict=True))
        tables = [pd.read_csv(folder / f"{name}_{part}.csv", dtype=str) for part in ("train", "test")]
        classes = sorted(set(tables[0]["label"]))
        self.classes = len(classes)
        (self.vectors, self.targets), (self.test_vectors, self.test_targets) = (
            (
                np.stack([vector_of[image] for image in table["image"]]),
                np.array([classes.index(label) for label in table["label"]], np.intp),
            )
            for table in tables
        )

    def head(self, chosen: np.ndarray) -> Head:
        """A head trained on the chosen images."""
        return fit_head(self.vectors[chosen], self.targets[chosen], self.classes)


def choose(data: Data, count: int, how: str, generator: np.random.Generator) -> np.ndarray:
    """Choose images at random, or after INITIAL ones those with the smallest probability gaps, batch by batch."""
    order = generator.permutation(len(data.vectors))
    if how == "random":
        return order[:count]
    chosen = order[:INITIAL]
    while len(chosen) < count:
        rest = np.setdiff1d(order, chosen)
        top = np.sort(np.log(softmax(data.head(chosen).logits(data.vectors[rest]))), axis=1)[:, -2:]
        chosen = np.concatenate([chosen, rest[np.argsort(np.exp(top[:, 1]) - np.exp(top[:, 0]))[:BATCH]]])
    return chosen


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities, (n, K)."""
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def rows(folder: Path, name: str) -> Iterator[tuple[object, ...]]:
    """Measure all settings on one data set."""
    data = Data(folder, name)
    for count, how in ((100, "random"), (300, "random"), (300, "gap")):
        for trial in range(TRIALS):
            chosen = choose(data, count, how, np.random.default_rng(trial))
            head = data.head(chosen)
            held_out = held_out_logits(
                data.vectors[chosen], data.targets[chosen], data.classes, strength=head.strength
            )  # fmt: skip
            found = calibration_in({}, (held_out, data.targets[chosen]))
            assert found is not None, "there are enough labels"
            logits, targets = head.logits(data.test_vectors), data.test_targets
            temperature = found["temperature"]
            figures = (
                (logits.argmax(1) == targets).mean(), temperature, fitted_temperature(logits, targets),
                loss(logits, targets), loss(logits / temperature, targets),
                error_of_logits(logits, targets), error_of_logits(logits / temperature, targets),
            )  # fmt: skip
            yield (name, count, how, trial, *(f"{figure:.4f}" for figure in figures))


if __name__ == "__main__":
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    for data_set in ("clothing10", "trashnet"):
        writer.writerows(rows(Path(sys.argv[1]), data_set))
