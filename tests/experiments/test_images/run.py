"""How much of a lead may be luck in the choice of the test images: `coverage` beside `probability-gap`.

    DATA=DATA python tests/experiments/test_images/run.py

Both strategies begin with the same two random
labels per class and ask about two per class in each round. The table has the share of right predictions over all
rounds, once for each trial (over the test images) and once for each test image (over the trials).
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


def right(data: Embedded, strategy: str, trial: int) -> npt.NDArray[np.floating]:
    """Play a trial; return the share of rounds in which each test image is predicted right, (t,)."""
    count = LABELS_PER_CLASS * len(data.classes)
    heads = (each.head for each in rounds(data, strategy, count, count, ROUNDS, trial))
    return np.mean([head.logits(data.test_vectors).argmax(1) == data.test_targets for head in heads], axis=0)


def shares(data: Embedded) -> pd.DataFrame:
    """The shares by trial and by test image: a column for each strategy."""
    by_strategy = {
        strategy: np.array([right(data, strategy, trial) for trial in range(1, TRIALS + 1)]) for strategy in STRATEGIES
    }  # (trials, t) each
    tables = [
        pd.DataFrame({"of": of, **{name: shares.mean(axis) for name, shares in by_strategy.items()}})
        for of, axis in (("trial", 1), ("test image", 0))
    ]
    return pd.concat(tables, ignore_index=True)


def main() -> None:
    """Play all data sets and write shares.csv beside this file."""
    folder = Path(os.environ["DATA"])
    tables = [shares(Embedded.of(folder, name)).assign(data_set=name) for name in DATA_SETS]
    columns = ["data_set", "of", *STRATEGIES]
    out = Path(__file__).with_name("shares.csv")
    pd.concat(tables)[columns].to_csv(out, index=False, float_format="%.6f", lineterminator="\n")


if __name__ == "__main__":
    main()
