"""Make the image folders and label files that the experiments read, under DATA.

    python tests/experiments/prepare.py SOURCE DATA

SOURCE holds the packed data sets and `make_folder.py`, which unpacks one of them. DATA gets, for each data set, a
folder of images and two files beside it: <name>_train.csv, the oracle, and <name>_test.csv. signs_rare.csv is an oracle
of signs in which three classes are rare.
"""

import csv
import subprocess
import sys
from pathlib import Path

import pandas as pd

DATA_SETS = ("mnist", "quickdraw4", "shoebag", "clothing10", "trashnet", "signs")
RARE, RARE_CLASSES = 20, 3


def prepare(source: Path, data: Path, name: str) -> None:
    """Unpack one data set and divide its labels as its authors divided it."""
    folder = data / name
    if not folder.exists():
        command = [sys.executable, source / "make_folder.py", name, folder, "--split", "all"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    for part in ("train", "test"):
        with (data / f"{name}_{part}.csv").open("w", newline="", encoding="utf-8") as handle:
            writer = csv.DictWriter(handle, ("image", "label"), lineterminator="\n")
            writer.writeheader()
            writer.writerows(row for row in rows if Path(row["image"]).name.startswith(f"{part}-"))


def thin(oracle: Path, out: Path) -> None:
    """Keep every RARE-th row of each of the first RARE_CLASSES classes, and all rows of the others."""
    table = pd.read_csv(oracle, dtype=str)
    rare = table["label"].isin(sorted(set(table["label"]))[:RARE_CLASSES])
    kept = table.groupby("label").cumcount() % RARE == 0
    table[~rare | kept].to_csv(out, index=False)


if __name__ == "__main__":
    for data_set in DATA_SETS:
        prepare(Path(sys.argv[1]), Path(sys.argv[2]), data_set)
    thin(Path(sys.argv[2]) / "signs_train.csv", Path(sys.argv[2]) / "signs_rare.csv")
