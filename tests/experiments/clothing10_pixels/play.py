"""Margins in pixels, through the frozen network, beside margins of embeddings and the probability gap.

    python tests/experiments/clothing10_pixels/play.py DATA OUT

DATA is the folder that prepare.py has filled. All ways of a trial start from the same random labels, and choose among
the same random candidates each night. A run that was interrupted goes on after the last finished one.
"""

import itertools
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
from nights import NIGHT, DataSet, nights

from dfal_cli.pages.curves import write_curves
from dfal_cli.schemas import RESULTS_COLUMNS, TIMINGS_COLUMNS
from dfal_cli.statistics.comparison import as_numbers
from dfal_cli.steps.embed.command import embed
from dfal_cli.steps.embed.options import EmbedOptions
from dfal_cli.steps.simulate.outputs import CURVES, RESULTS, TIMINGS, tables_of
from dfal_cli.steps.simulate.runs import RoundResult, RoundTask, round_result
from dfal_cli.system.reporting import Silent
from dfal_cli.tables import write_csv

PIXELS = "margins in pixels"
TRIALS, BUDGET, CANDIDATES = 5, 200, 300
WAYS = {
    PIXELS: "dfal-without-twins",
    "margins of embeddings": "dfal-without-twins",
    "probability-gap": "probability-gap",
    "random": "random",
}
"""Each way of choosing, and its strategy."""
TABLES = {RESULTS: RESULTS_COLUMNS, TIMINGS: TIMINGS_COLUMNS}


def main(data: DataSet, out: Path) -> None:
    """Play the runs that are missing."""
    embed(EmbedOptions(images=data.images, out=data.embeddings, backbone="lite0", device="cpu"), Silent())
    results, timings = (_read(out / name, columns) for name, columns in TABLES.items())
    for trial, (position, way) in itertools.product(range(1, TRIALS + 1), enumerate(WAYS)):
        if not ((results["strategy"] == way) & (results["trial"] == str(trial))).any():
            tables = tables_of(run(data, RoundTask(trial, 0, position, way)))
            results, timings = map(pd.concat, zip((results, timings), tables, strict=True))
            write_csv(out / TIMINGS, timings)
            write_csv(out / RESULTS, results)
    write_curves(out / CURVES, as_numbers(results))


def _read(file: Path, columns: Sequence[str]) -> pd.DataFrame:
    return pd.read_csv(file, dtype=str, keep_default_na=False) if file.exists() else pd.DataFrame(columns=columns)


def run(data: DataSet, task: RoundTask) -> list[RoundResult]:
    """Play all nights of a way in a trial."""
    in_pixels = {"images": data.images, "device": "cpu"}
    space = in_pixels if task.name == PIXELS else {"embeddings": data.embeddings}
    scoring = {**space, "candidates": CANDIDATES, "nearest": NIGHT}
    with tempfile.TemporaryDirectory() as folder:
        played = [*nights(data, Path(folder), "random", WAYS[task.name], BUDGET, 1000 * task.trial, scoring)]
    classes = sorted(played[0].test["class_accuracy"])
    return [
        round_result(task.with_number(number), night.labels["label"].tolist(), classes, night.test, night.timer)
        for number, night in enumerate(played)
    ]


if __name__ == "__main__":
    main(DataSet.of(Path(sys.argv[1]), "clothing10"), Path(sys.argv[2]))
