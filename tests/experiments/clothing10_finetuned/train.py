"""What fine-tuning of a pretrained network gives beside a head on its embeddings, by the number of labelled photos.

    python tests/experiments/clothing10_finetuned/train.py DATA OUT.csv

DATA is the folder that prepare.py has filled. In a trial both ways train on the same random labels with the defaults
of `dfal train`. OUT.csv has the accuracy and the loss on the test images. A run that was interrupted goes on when it is
started again.
"""

import csv
import itertools
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd

from dfal_cli.steps.embed.command import embed
from dfal_cli.steps.embed.options import EmbedOptions
from dfal_cli.steps.train.command import train
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.system.reporting import Silent

COLUMNS = ("labels", "trial", "way", "accuracy", "loss", "seconds")
LABELS = (100,)
TRIALS = (1, 2, 3)
WAYS = ("head", "fine-tuned")


def main(data: Path, out: Path) -> None:
    """Train what is left."""
    images, embeddings = data / "clothing10", data / "clothing10.parquet"
    embed(EmbedOptions(images=images, out=embeddings, backbone="lite0", device="cpu"), Silent())
    inputs: dict[str, dict[str, Any]] = {
        "head": {"embeddings": embeddings},
        "fine-tuned": {"images": images, "finetune": True, "arch": "lite0", "device": "cpu", "cache": data / "cache"},
    }
    done = set(pd.read_csv(out)[list(COLUMNS[:3])].itertuples(index=False, name=None)) if out.exists() else set()
    for labels, trial, way in itertools.product(LABELS, TRIALS, WAYS):
        if (labels, trial, way) not in done:
            write(out, [labels, trial, way, *tested(data, labels, trial, inputs[way])])


def tested(data: Path, labels: int, trial: int, inputs: dict[str, Any]) -> list[str]:
    """Accuracy and loss on the test images, and the seconds of the training."""
    with tempfile.TemporaryDirectory() as folder:
        labelled = Path(folder) / "labels.csv"
        pd.read_csv(data / "clothing10_train.csv", dtype=str).sample(labels, random_state=trial).to_csv(
            labelled, index=False
        )
        options = TrainOptions(
            labels=[labelled], test=[data / "clothing10_test.csv"], out=Path(folder) / "model.safetensors", seed=trial,
            **inputs,
        )  # fmt: skip
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
    main(Path(sys.argv[1]), Path(sys.argv[2]))
