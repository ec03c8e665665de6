"""Heads on embeddings, time and accuracy: python tests/benchmarks/heads.py [--keep DIR]

The embeddings are those of clothing10 by lite0 if ../shared/data contains these photos; otherwise only the time is
measured, on clusters. The floor of a fit is its matrix products alone: two for each of 150 iterations.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from dfal_cli.steps.embed.command import embed
from dfal_cli.steps.embed.options import EmbedOptions
from dfal_cli.strategies.typical import typical_points
from dfal_cli.system.reporting import Silent
from dfal_cli.tables.embeddings import read_embeddings
from dfal_cli.tables.vectors import Values, unit_length
from dfal_cli.training.head import STRENGTH, STRENGTHS, Targets, fit_head
from tests.benchmarks.comparison.folders import image_folder

LABELS, SIZE, CLASSES, ITERATIONS = 1_000, 1_280, 10, 150
COUNTS = (20, 50, 100, 300, 1_000)
DRAWS = 20
FIRST_LIST = 20


class Labelled(NamedTuple):
    """Embeddings of unit length, (n, d), and their classes, (n,)."""

    vectors: Values
    targets: Targets

    def of(self, rows: np.ndarray) -> "Labelled":
        """Some of them."""
        return Labelled(self.vectors[rows], self.targets[rows])


def main() -> None:
    """Print a table of times and one of accuracies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        keep = options.keep or Path(folder)
        keep.mkdir(parents=True, exist_ok=True)
        photos = embedded_photos(keep)
    if photos is None:
        print("no ../shared/data here: clusters instead of photos\n")
        print_times(clusters())
    else:
        train, test = photos
        print_times(train.of(np.random.default_rng(0).permutation(len(train.targets))[:LABELS]))
        print_accuracies(train, test)
        print_first_list(train, test)


def embedded_photos(keep: Path) -> tuple[Labelled, Labelled] | None:
    """The photos of clothing10 to train on and to test on."""
    folder = image_folder("clothing10", keep, sketches=0)
    if folder.name != "clothing10":
        return None
    embed(EmbedOptions(images=folder.root, out=keep / "embeddings.parquet", backbone="lite0"), Silent())
    embeddings = read_embeddings(keep / "embeddings.parquet")
    labels = pd.read_csv(folder.labels, index_col="image")["label"].loc[embeddings.images]
    everything = Labelled(unit_length(embeddings.vectors), labels.astype("category").cat.codes.to_numpy(np.intp))
    is_test = np.array([Path(image).name.startswith("test-") for image in embeddings.images])
    return everything.of(~is_test), everything.of(is_test)


def clusters() -> Labelled:
    """Overlapping clusters, one for each class."""
    generator = np.random.default_rng(0)
    targets = np.arange(LABELS) % CLASSES
    centres = generator.standard_normal((CLASSES, SIZE))
    points = 1 + 0.3 * centres[targets] + generator.standard_normal((LABELS, SIZE))
    return Labelled(unit_length(points.astype(np.float32)), targets)


def print_times(labelled: Labelled) -> None:
    """Seconds of a fit with and without the choice of its strength, and their ratios to the floor."""
    points, weight = labelled.vectors.astype(np.float64), np.zeros((CLASSES, SIZE))
    floor = seconds(lambda: [(points @ weight.T).T @ points for _ in range(ITERATIONS)])
    print(f"{LABELS:,} labels, {SIZE:,} dimensions, {CLASSES} classes; products alone: {floor:.2f} s\n")
    print("| fit | seconds | ratio |\n| --- | --- | --- |")
    for name, strength in (("strength given", STRENGTH), ("strength by cross-validation", None)):
        took = seconds(lambda given=strength: fit_head(*labelled, CLASSES, strength=given))
        print(f"| {name} | {took:.2f} | {took / floor:.1f} |", flush=True)


def print_accuracies(train: Labelled, test: Labelled) -> None:
    """Mean test accuracy of DRAWS heads for each number of labels and each strength."""
    print(f"\nclothing10, lite0, mean of {DRAWS} draws, tested on {len(test.targets)} photos, %\n")
    heads = [*(f"{strength:g}" for strength in STRENGTHS), "as `train` chooses"]
    print(f"| labels | {' | '.join(heads)} |\n| --- |{' --- |' * len(heads)}")
    for count in COUNTS:
        cells = [100 * accuracy(train, test, count, strength) for strength in (*STRENGTHS, None)]
        print(f"| {count:,} | {' | '.join(f'{cell:.1f}' for cell in cells)} |", flush=True)


def accuracy(train: Labelled, test: Labelled, count: int, strength: float | None) -> float:
    """Mean accuracy of heads, each on so many random labels."""
    reached = []
    for draw in range(DRAWS):
        labelled = train.of(np.random.default_rng(draw).permutation(len(train.targets))[:count])
        head = fit_head(*labelled, CLASSES, strength=strength)
        reached.append((head.logits(test.vectors).argmax(1) == test.targets).mean())
    return float(np.mean(reached))


def print_first_list(train: Labelled, test: Labelled) -> None:
    """Test accuracy of a head on a first list by `typical`: of the pool, and of random halves of it."""

    def of_pool(pool: Labelled) -> float:
        picked = typical_points(pool.vectors, None, FIRST_LIST, np.random.default_rng(0))
        head = fit_head(*pool.of(picked), CLASSES)
        return 100 * float((head.logits(test.vectors).argmax(1) == test.targets).mean())

    orders = [np.random.default_rng(draw).permutation(len(train.targets)) for draw in range(DRAWS)]
    halves = [of_pool(train.of(np.sort(order[: len(order) // 2]))) for order in orders]
    print(
        f"\n{FIRST_LIST} labels by `typical`: {of_pool(train):.1f} %; in {DRAWS} random halves of the pool: mean "
        f"{np.mean(halves):.1f} %, {min(halves):.1f} to {max(halves):.1f} %"
    )


def seconds(work: Callable[[], object]) -> float:
    """Seconds of the quickest of three runs."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


if __name__ == "__main__":
    main()
