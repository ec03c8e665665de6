"""Does the interval of "N more labels" hold the truth? Curves of other experiments, cut at half of their labels.

    python tests/experiments/forecast/run.py

Every strategy of mnist_long, mnist_batch100 and clothing10_heads gives a curve in each of up to five trials. The
targets are the accuracies that the whole curve has with 1.25, 1.5 and 2 times the labels of the cut; the truth is the
number of labels with which it first has them. The whole curve is smoothed by isotonic regression, because single
accuracies scatter.
forecasts.csv holds the intervals with several widening factors.
"""

import csv
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.isotonic import IsotonicRegression

sys.path.insert(0, str(Path(__file__).parents[1]))
from tables import HERE, TEST_IMAGES

from dfal_cli.statistics.learning_curve import bootstrap, forecast_of

EXPERIMENTS = ("mnist_long", "mnist_batch100", "clothing10_heads/random", "clothing10_heads/typical")
TRIALS = 5
TIMES = (1.25, 1.5, 2.0)
FACTORS = (1.0, 1.5, 2.0)
COLUMNS = ("experiment", "strategy", "trial", "times", "factor", "target", "truth", "forecast", "low", "high")


def main() -> None:
    """Write forecasts.csv beside this file."""
    with Path(__file__).with_name("forecasts.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for experiment in EXPERIMENTS:
            results = pd.read_csv(HERE / experiment / "results.csv")
            first = results[results["trial"] < results["trial"].min() + TRIALS]
            for (strategy, trial), curve in first.groupby(["strategy", "trial"]):
                images = TEST_IMAGES[experiment.partition("_")[0]]
                for row in forecasts(curve.sort_values("annotations"), images):
                    writer.writerow([experiment, strategy, trial, *row])


def forecasts(curve: pd.DataFrame, images: int) -> Iterator[list[object]]:
    """Yield the rows of a curve from its column `times` on."""
    labels, accuracies = (curve[name].to_numpy("float64") for name in ("annotations", "accuracy"))
    smooth = IsotonicRegression().fit_transform(labels, accuracies)
    cut = labels[-1] / 2
    seen = labels <= cut
    laws = bootstrap(labels[seen], accuracies[seen], np.full(int(seen.sum()), images, np.float64), seed=0)
    for times in TIMES:
        target = float(np.interp(times * cut, labels, smooth))
        truth = first_reached(labels, smooth, target)
        if truth <= labels[seen][-1]:
            continue  # the curve rises no more
        for factor in FACTORS:
            found = forecast_of(*laws, target, factor)
            numbers = [target, truth, found.labels, *found.interval]
            yield [times, factor, *("inf" if math.isinf(number) else f"{number:.6g}" for number in numbers)]


def first_reached(labels: np.ndarray, smooth: np.ndarray, target: float) -> float:
    """The number of labels with which a rising curve first has an accuracy, interpolated."""
    place = int(np.flatnonzero(smooth >= target - 1e-12)[0])
    if place == 0 or smooth[place] == smooth[place - 1]:
        return float(labels[place])
    return float(np.interp(target, smooth[place - 1 : place + 1], labels[place - 1 : place + 1]))


if __name__ == "__main__":
    main()
