"""What fine-tuning of a pretrained network gives beside a head on its embeddings, by the labelled photos.

    python tests/experiments/clothing10_finetuned/train.py DATA OUT.csv

DATA is the folder that prepare.py has filled. In a trial both ways train on the same labels with the defaults of
`dfal train`: labels of random photos, or of those that a head has chosen in nights of `coverage`, which begin with
`typical`. Because these draw nothing at random, each trial has another half of the photos as its pool, for `random-300`
as well. OUT.csv has the accuracy and the loss on the test images. A run that was interrupted goes on when it is started
again.
"""

import csv
import itertools
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
from nights import DataSet, nights

from dfal_cli.steps.embed.command import embed
from dfal_cli.steps.embed.options import EmbedOptions
from dfal_cli.steps.train.command import train
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.system.reporting import Silent

COLUMNS = ("chosen", "labels", "trial", "way", "accuracy", "loss", "seconds")
CHOSEN = (("random", 100), ("random", 300), ("coverage", 300))
TRIALS = (1, 2, 3)
WAYS = ("head", "fine-tuned")


def main(data: DataSet, out: Path) -> None:
    """Train what is left."""
    embed(EmbedOptions(images=data.images, out=data.embeddings, backbone="lite0", device="cpu"), Silent())
    cache = data.images.parent / "cache"
    inputs: dict[str, dict[str, Any]] = {
        "head": {"embeddings": data.embeddings},
        "fine-tuned": {"images": data.images, "finetune": True, "arch": "lite0", "device": "cpu", "cache": cache},
    }
    done = set(pd.read_csv(out)[list(COLUMNS[:4])].itertuples(index=False, name=None)) if out.exists() else set()
    for trial, (chosen, count), way in itertools.product(TRIALS, CHOSEN, WAYS):
        if (chosen, count, trial, way) not in done:
            labels = chosen_labels(data, chosen, count, trial)
            write(out, [chosen, count, trial, way, *tested(data, labels, trial, inputs[way])])


def chosen_labels(data: DataSet, chosen: str, count: int, trial: int) -> pd.DataFrame:
    """Image and label of the chosen photos."""
    oracle = pd.read_csv(data.oracle, dtype=str)
    if count == 100:
        return oracle.sample(count, random_state=trial)
    half = oracle.sample(frac=0.5, random_state=trial)
    if chosen == "random":
        return half.sample(count, random_state=trial)
    with tempfile.TemporaryDirectory() as folder:
        rest = Path(folder) / "rest.csv"
        oracle.drop(half.index).to_csv(rest, index=False)
        scoring = {"embeddings": data.embeddings}
        *_, last = nights(data._replace(left_out=(rest,)), Path(folder), "typical", chosen, count, trial, scoring)
    return last.labels[["image", "label"]]


def tested(data: DataSet, labels: pd.DataFrame, trial: int, inputs: dict[str, Any]) -> list[str]:
    """Accuracy and loss on the test images, and the seconds of the training."""
    with tempfile.TemporaryDirectory() as folder:
        labelled = Path(folder) / "labels.csv"
        labels.to_csv(labelled, index=False)
        options = TrainOptions(
            labels=[labelled], test=[data.test], out=Path(folder) / "model.safetensors", seed=trial, **inputs
        )
        started = time.perf_counter()
        figures = train(options, Silent()).details["test"]
        seconds = time.perf_counter() - started
    return [f"{figures['accuracy']:.6f}", f"{figures['loss']:.6f}", f"{seconds:.1f}"]


def write(out: Path, row: list[object]) -> None:
    """Append a row to the table."""
    is_new = not out.exists()
    with out.open("a", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        if is_new:
            writer.writerow(COLUMNS)
        writer.writerow(row)


if __name__ == "__main__":
    main(DataSet.of(Path(sys.argv[1]), "clothing10"), Path(sys.argv[2]))
