"""Does the interval of the control slice hold the true accuracy on the pool? Nights on signs, 100 runs.

    DATA=DATA python tests/experiments/control_slice/run.py [RUNS]

Each run begins with 40 random labels and goes on for five rounds of 40 queries: 20 of them control images, the others
chosen by `coverage`. A list of which only the first part is answered holds a random part of the slice, so the same run
gives slices of 5, 10 and 20 images. The truth is the accuracy of a round's head on the round's whole pool, by the
oracle. Beside it: the accuracy on the strategy's answers, and by cross-validation on all labels.
"""

import csv
import os
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from heads import Embedded, Round, rounds

from dfal_cli.schemas import IN_CONTROL
from dfal_cli.statistics.control import Slice, compared_with_random, pool_accuracy

COUNT, DRAWN, ROUNDS = 40, 20, 5
SIZES = (5, 10, 20)
COLUMNS = (
    "run", "round", "rounds", "size", "pool", "truth", "estimate", "low", "high", "on_queries", "cross_validated",
    "mistakes_found", "mistakes_at_random", "at_random_low", "at_random_high",
)  # fmt: skip


def slice_of(night: Round, size: int) -> tuple[Slice, tuple[int, int]]:
    """The first `size` control images of the list, and (mistakes, queries) of the strategy's picks."""
    right_of = dict(zip(night.pool.tolist(), night.is_right.tolist(), strict=True))
    is_right = np.array([right_of[place] for place in night.queries["place"]])
    is_control = (night.queries["control"] == IN_CONTROL).to_numpy()
    drawn, chosen = is_right[is_control][:size], is_right[~is_control]
    return Slice(len(night.pool), len(drawn), int(drawn.sum())), (int((~chosen).sum()), len(chosen))


def main(runs: int) -> None:
    """Play the runs and write slices.csv beside this file."""
    data = Embedded.of(Path(os.environ["DATA"]), "signs")
    with Path(__file__).with_name("slices.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for run in range(runs):
            nights = list(rounds(data, "coverage", COUNT, COUNT, ROUNDS, run, DRAWN / COUNT))
            validated = [night.cross_validated(data) for night in nights]
            for size in SIZES:
                found = [slice_of(night, size) for night in nights]
                for number in range(ROUNDS):
                    writer.writerow(_row(run, number, size, nights[number : number + 1], found[number:][:1], validated))
                writer.writerow(_row(run, ROUNDS - 1, size, nights, found, validated))
            file.flush()


def _row(
    run: int, number: int, size: int, nights: list[Round], found: list[tuple[Slice, tuple[int, int]]],
    validated: list[float],
) -> list[object]:  # fmt: skip
    slices, chosen = [each for each, _ in found], [each for _, each in found]
    estimate = pool_accuracy(slices)
    mistakes = compared_with_random(chosen, [each._replace(right=each.answered - each.right) for each in slices])
    pools = [len(night.pool) for night in nights]
    truth = np.average([night.is_right.mean() for night in nights], weights=pools)
    at_random = sum(count * (~night.is_right).mean() for (_, count), night in zip(chosen, nights, strict=True))
    numbers = [
        truth, estimate.share, *estimate.interval, 1 - mistakes.found / mistakes.queries, validated[number],
        mistakes.found, at_random, *mistakes.interval,
    ]  # fmt: skip
    return [run, number, len(nights), size, sum(pools), *(f"{value:.5g}" for value in numbers)]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
