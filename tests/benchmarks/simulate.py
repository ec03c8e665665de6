"""`dfal simulate` against its training alone in a bare PyTorch loop: python tests/benchmarks/simulate.py [--keep DIR]

LeNet5, 100 labels and then 100 a round up to 1,000, one trial; as many processes of one thread as told, against a loop
of as many threads. The image files have just been read, so that the system has them in memory. Early stopping is off:
both train for the same number of epochs on the same numbers of images.
"""

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
import torch.nn.functional as F
from comparison.folders import ImageFolder, image_folder
from score import Ran, run

from dfal_cli.images import InputFormat, in_batches, read_batches
from dfal_cli.models import build_network, seeded
from dfal_cli.tables import read_labels, write_labels

STRATEGIES = ("random", "dfal", "dfal,dfal-without-twins,random")
INITIAL = COUNT = 100
BUDGET = 1_000
TEST = 10_000
SKETCHES = 15_000
EPOCHS = 30
SHAPE = (1, 28, 28)
COLUMNS = (
    "strategy", "simulate, s", "plain loop, s", "ratio", "CPU ratio", "training steps, s", "queries, s", "rest, s",
    "ratio without queries",
)  # fmt: skip


class Data(NamedTuple):
    """Files for `dfal simulate`, and some of the images in memory for the plain loop."""

    root: Path
    oracle: Path
    test: Path
    images: torch.Tensor
    labels: torch.Tensor


def make_data(folder: ImageFolder, keep: Path) -> Data:
    """The last images are for testing."""
    table = read_labels(folder.labels)
    oracle, test = keep / "oracle.csv", keep / "test.csv"
    write_labels(oracle, table[:-TEST])
    write_labels(test, table[-TEST:])
    some = table[: 2 * BUDGET]
    pixels = [
        torch.from_numpy(part.pixels)
        for part in read_batches(folder.root, in_batches(list(some["image"]), 256), InputFormat(SHAPE))
    ]
    codes = torch.tensor(pd.Categorical(some["label"]).codes, dtype=torch.int64)
    return Data(folder.root, oracle, test, torch.cat(pixels).float() / 255, codes)


def bare_loop(data: Data, twins: bool) -> tuple[float, float]:
    """Wall and CPU seconds of training as often, on as many images, as a run does; twins are images here."""
    started = time.perf_counter(), time.process_time()
    for labels in range(INITIAL, BUDGET + 1, COUNT):
        count = labels + (labels - INITIAL if twins else 0)
        order = torch.randperm(count, generator=torch.Generator().manual_seed(labels))
        training, validation = order[count // 5 :], order[: count // 5]
        with seeded(labels, torch.device("cpu")):
            model = build_network("lenet5", int(data.labels.max()) + 1, SHAPE)
            optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
            for _ in range(EPOCHS):
                model.train()
                for items in training[torch.randperm(len(training))].split(32):
                    loss = F.cross_entropy(model(data.images[items]), data.labels[items])
                    optimiser.zero_grad()
                    loss.backward()
                    optimiser.step()
                model.eval()
                with torch.no_grad():
                    F.cross_entropy(model(data.images[validation]), data.labels[validation])
    return time.perf_counter() - started[0], time.process_time() - started[1]


def floor_of(data: Data, strategies: str) -> tuple[float, float]:
    """Wall and CPU seconds of the plain loop of each of the strategies, one after the other."""
    taken = [bare_loop(data, twins=strategy == "dfal") for strategy in strategies.split(",")]
    return sum(wall for wall, _ in taken), sum(cpu for _, cpu in taken)


def simulate(data: Data, strategy: str, jobs: int, out: Path) -> tuple[Ran, pd.DataFrame]:
    """The command as a process, and its timings."""
    for path in data.root.rglob("*.png"):
        path.read_bytes()
    shutil.rmtree(out, ignore_errors=True)
    ran = run(
        "-m", "dfal_cli", "simulate", "--images", data.root, "--labels", data.oracle, "--test", data.test,
        "--out", out, "--arch", "lenet5", "--strategies", strategy, "--initial", INITIAL, "--count", COUNT,
        "--budget", BUDGET, "--epochs", EPOCHS, "--patience", EPOCHS, "--device", "cpu", "--jobs", jobs,
    )  # fmt: skip
    return ran, pd.read_csv(out / "timings.csv")


def main() -> None:
    """Print a Markdown table; the floor is measured before and after, and the lesser taken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="keep the images there for the next run")
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES, help="as of simulate; a row each")
    parser.add_argument("--jobs", type=int, default=1, help="of simulate; the plain loop uses as many threads")
    options = parser.parse_args()
    torch.set_num_threads(options.jobs)
    os.environ["OMP_NUM_THREADS"] = str(options.jobs)
    with tempfile.TemporaryDirectory() as temporary:
        keep = options.keep or Path(temporary)
        folder = image_folder("mnist", keep, SKETCHES)
        data = make_data(folder, Path(temporary))
        cores = f"{options.jobs} of {os.cpu_count()} cores"
        print(f"{folder.name}, LeNet5, {EPOCHS} epochs a round, {cores}, {time.strftime('%Y-%m-%d')}\n")
        for row in (COLUMNS, ["---"] * len(COLUMNS)):
            print("|", " | ".join(row), "|")
        for strategy in options.strategies:
            before = floor_of(data, strategy)
            ran, timings = simulate(data, strategy, options.jobs, Path(temporary) / "out")
            wall, cpu = map(min, zip(before, floor_of(data, strategy), strict=True))
            # Of runs side by side, the share of a process.
            steps, queries = (timings[name].sum() / options.jobs for name in ("train_seconds", "query_seconds"))
            cells = (
                strategy, f"{ran.seconds:.1f}", f"{wall:.1f}", f"{ran.seconds / wall:.2f}",
                f"{ran.cpu_seconds / cpu:.2f}", f"{steps:.1f}", f"{queries:.1f}",
                f"{ran.seconds - steps - queries:.1f}", f"{(ran.seconds - queries) / wall:.2f}",
            )  # fmt: skip
            print("|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
