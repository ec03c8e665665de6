"""How much of a lead may be luck in the choice of the test images: `coverage` beside `probability-gap`.

    DATA=DATA python tests/experiments/test_images/run.py

In a trial, both strategies begin with the same random labels, two per class on average, and ask about as many in each
round. The table has a row for each trial of a strategy. `rounds_right` has a number for each test image: in how many of
the rounds it is classified correctly.
"""

import os
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
from heads import Embedded, rounds

DATA_SETS = ("clothing10", "trashnet", "signs")
STRATEGIES = ("coverage", "probability-gap")
TRIALS, ROUNDS, LABELS_PER_CLASS = 20, 15, 2


def rounds_right(data: Embedded, strategy: str, trial: int) -> npt.NDArray[np.intp]:
    """Play a trial; return in how many rounds each test image is classified correctly, (t,)."""
    count = LABELS_PER_CLASS * len(data.classes)
    heads = (each.head for each in rounds(data, strategy, count, count, ROUNDS, trial))
    return np.sum([head.logits(data.test_vectors).argmax(1) == data.test_targets for head in heads], axis=0)


def main() -> None:
    """Play all data sets and write rounds_right.csv beside this file."""
    folder = Path(os.environ["DATA"])
    rows = []
    for name in DATA_SETS:
        data = Embedded.of(folder, name)
        for trial in range(1, TRIALS + 1):
            for strategy in STRATEGIES:
                numbers = " ".join(map(str, rounds_right(data, strategy, trial)))
                rows.append((name, trial, strategy, ROUNDS, numbers))
    table = pd.DataFrame(rows, columns=["data_set", "trial", "strategy", "rounds", "rounds_right"])
    table.to_csv(Path(__file__).with_name("rounds_right.csv"), index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
