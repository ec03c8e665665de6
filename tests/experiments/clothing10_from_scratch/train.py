"""What a ResNet-18 from scratch makes of few labelled photos, by image size, augmentation and validation split.

    python tests/experiments/clothing10_from_scratch/train.py DATA OUT.csv

DATA is the folder that prepare.py has filled. Each training runs for EPOCHS epochs. OUT.csv has, for each epoch, the
loss and accuracy on the validation images (on the training images, where none are split off), and the test accuracy
wherever the epoch may be the best by one of the two. So the outcome of every patience can be read off it: training with
a patience of P ends P epochs after the best epoch, and keeps that one. A run that was interrupted goes on when it is
started again.
"""

import csv
import sys
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch

from dfal_cli.images import ImageFolder, InputFormat, cached, read_from_disk
from dfal_cli.models import build_network, seeded
from dfal_cli.system.reporting import Silent
from dfal_cli.training.evaluation import evaluate
from dfal_cli.training.examples import Examples, load_examples
from dfal_cli.training.fitting import fit
from dfal_cli.training.run import Epoch, TrainingRun, TrainingSettings

COLUMNS = ("labels", "side", "augment", "split", "trial", "epoch", "loss", "accuracy", "test_accuracy")
EPOCHS = 60
FRACTION = 0.2
CPU = torch.device("cpu")


class Setting(NamedTuple):
    """One training."""

    labels: int
    side: int
    augment: str
    split: str
    trial: int


TRIALS = (1, 2, 3)
SETTINGS = [
    *(Setting(100, 64, augment, "stratified", trial) for augment in ("photo", "none") for trial in TRIALS),
    *(Setting(100, side, "photo", "none", trial) for side in (64, 72) for trial in TRIALS),
    *(Setting(100, side, "photo", "stratified", trial) for side in (72, 96, 128) for trial in TRIALS),
    *(Setting(300, side, "photo", "stratified", trial) for side in (64, 96) for trial in TRIALS),
    *(Setting(100, 224, "photo", "stratified", trial) for trial in TRIALS),
]


def main(data: Path, out: Path) -> None:
    """Train what is left."""
    train, test = (
        pd.read_csv(data / f"clothing10_{part}.csv", dtype=str).assign(twin="") for part in ("train", "test")
    )
    classes = tuple(sorted(train["label"].unique()))
    there = set(pd.read_csv(out)[list(Setting._fields)].itertuples(index=False, name=None)) if out.exists() else set()
    with cached(data / "cache", "10GB", read_from_disk, Silent()) as reader:
        source = ImageFolder(data / "clothing10", reader)

        def load(table: pd.DataFrame, side: int) -> Examples:
            return load_examples(
                source, table, classes, InputFormat((3, side, side)), with_twins=False, workers=1, reporter=Silent()
            )

        for setting in SETTINGS:
            if tuple(setting) not in there:
                labelled = train.sample(setting.labels, random_state=setting.trial).reset_index(drop=True)
                rows = trained(setting, load(labelled, setting.side), load(test, setting.side), len(classes))
                write(out, [(*setting, *row) for row in rows])


def trained(setting: Setting, labelled: Examples, test: Examples, num_classes: int) -> list[tuple[object, ...]]:
    """Each epoch: its number, the loss and accuracy that decide, the test accuracy where it was measured."""
    chosen = SPLITS[setting.split](labelled.labels, torch.Generator().manual_seed(setting.trial))
    training, validation = labelled.of_images(~chosen), labelled.of_images(chosen) if chosen.any() else None
    with seeded(setting.trial, CPU):
        model = build_network("resnet18", num_classes, (3, setting.side, setting.side))
    tested, rows = test.on_device(CPU), []
    lowest, highest = float("inf"), 0.0

    def on_epoch(epoch: Epoch) -> None:
        nonlocal lowest, highest
        loss, accuracy = epoch.decisive_loss, epoch.decisive_accuracy
        ties = accuracy == highest and epoch.epoch % 5 == 0  # a test takes longer than an epoch
        is_best = accuracy > highest or ties or loss < lowest
        if (is_best if validation else epoch.epoch % 20 == 0) or epoch.epoch == EPOCHS:
            right = f"{evaluate(model, tested, num_classes).accuracy:.6f}"
        else:
            right = ""
        lowest, highest = min(lowest, loss), max(highest, accuracy)
        rows.append((epoch.epoch, f"{loss:.6f}", f"{accuracy:.6f}", right))

    settings = TrainingSettings(EPOCHS, patience=EPOCHS, augment=setting.augment)
    fit(TrainingRun(model, settings, setting.trial), training, validation, setting.trial, on_epoch)
    return rows


def _stratified(labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique():
        members = (labels == label).nonzero().flatten()
        members = members[torch.randperm(len(members), generator=generator)]
        chosen[members[: round(len(members) * FRACTION)]] = True
    return chosen


SPLITS = {
    "stratified": _stratified,
    "none": lambda labels, generator: torch.zeros(len(labels), dtype=torch.bool),
}


def write(out: Path, rows: list[tuple[object, ...]]) -> None:
    """Add the rows of one training."""
    new = not out.exists()
    with out.open("a", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerows([COLUMNS, *rows] if new else rows)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
