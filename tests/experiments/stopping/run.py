"""What the stopping rules look at, round by round: clothing10, trashnet and signs, 20 trials each.

    DATA=DATA python tests/experiments/stopping/run.py [TRIALS] [SET ...]

Heads on embeddings, from 40 random labels to 600 in batches of 40 chosen by `coverage`. rounds.csv holds, for each
round, the test accuracy, Cohen's kappa between the predictions of this head and the one before on the images that both
scored, the smallest margin left in the pool, and the median margin of the list.
"""

import csv
import os
import sys
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
from heads import Embedded, rounds

from dfal_cli.statistics.stopping import cohens_kappa

COUNT, ROUNDS = 40, 15
SETS = ("clothing10", "trashnet", "signs")
COLUMNS = ("set", "trial", "labels", "accuracy", "kappa", "smallest_margin", "median_margin")


def main(trials: int, sets: list[str]) -> None:
    """Play all trials and write rounds.csv beside this file."""
    with Path(__file__).with_name("rounds.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name, trial in ((name, trial) for trial in range(trials) for name in sets):
            data = Embedded.of(Path(os.environ["DATA"]), name)
            before = None
            for night in rounds(data, "coverage", COUNT, COUNT, ROUNDS, trial):
                now = pd.Series(night.scores["predicted"].to_numpy(), night.scores["image"])
                kappa = "" if before is None else f"{cohens_kappa(before[now.index].to_numpy(), now.to_numpy()):.5f}"
                margins = [night.scores["margin"].min(), night.queries["margin"].median()]
                numbers = [f"{night.test_accuracy:.5f}", kappa, *(f"{margin:.5g}" for margin in margins)]
                writer.writerow([name, trial, len(night.labelled), *numbers])
                before = now
            file.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20, sys.argv[2:] or list(SETS))
