"""`dfal score` on folders of 28-pixel PNGs, against its floor: python tests/benchmarks/score.py [--keep DIR]

Every row is a process of its own, start-up included. The ratio is to a process that loads the network and does one
forward pass over the same images from memory. Images are read cold where the system has been told to forget them.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from comparison.folders import ImageFolder, image_folder

from dfal_cli.images import InputFormat, in_batches, read_batches
from dfal_cli.tables import read_labels, write_labels

# No torch in here: a child's peak memory, as the system tells it, is at least what its parent had when it was started.

SHAPE = (1, 28, 28)
FORMAT = InputFormat(SHAPE)
LABELLED = 1_000
POOLS = (1_000, 10_000, 60_000)
NEAREST_SHARE = 0.01
FLOORS = Path(__file__).with_name("floors.py")
COLUMNS = ("process", "images", "s", "CPU s", "images/s", "peak MiB", "x floor", "x floor, CPU")


class Ran(NamedTuple):
    """What a process took."""

    seconds: float
    cpu_seconds: float
    mebibytes: float


class Pool(NamedTuple):
    """Images to score."""

    root: Path
    pixels: Path
    """The same images in one array, .npy."""
    count: int


def run(*arguments: object) -> Ran:
    """Run Python with these arguments, as a process of its own."""
    command = [sys.executable, *map(str, arguments)]
    started = time.perf_counter()
    process = os.posix_spawn(
        sys.executable, command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    )
    _, status, usage = os.wait4(process, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return Ran(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def forget(pool: Pool) -> None:
    """Have the system drop the images from its memory, as far as it does so without being root."""
    for path in pool.root.iterdir():
        with path.open("rb") as handle:
            os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def make_pool(folder: ImageFolder, images: list[str], keep: Path) -> Pool:
    """A folder of links to the images, and their pixels."""
    pool = Pool(keep / f"pool-{len(images)}", keep / f"pool-{len(images)}.npy", len(images))
    if not pool.pixels.exists():
        shutil.rmtree(pool.root, ignore_errors=True)
        pool.root.mkdir()
        for image in images:
            os.link(folder.root / image, pool.root / image.replace("/", "-"))
        np.save(
            pool.pixels,
            np.concatenate([part.pixels for part in read_batches(folder.root, in_batches(images, 256), FORMAT)]),
        )
    return pool


def train(folder: ImageFolder, images: list[str], keep: Path) -> Path:
    """A LeNet5 that `dfal train` made of the labelled images."""
    checkpoint, labels = keep / "model.safetensors", keep / "labelled.csv"
    if not checkpoint.exists():
        table = read_labels(folder.labels)
        write_labels(labels, table[table["image"].isin(images)][["image", "label"]])
        run(
            "-m", "dfal_cli", "train", "--images", folder.root, "--labels", labels, "--out", checkpoint,
            "--arch", "lenet5", "--epochs", 20, "--device", "cpu", "--quiet",
        )  # fmt: skip
    return checkpoint


def floors_of(pool: Pool, checkpoint: Path) -> Iterator[tuple[str, Ran]]:
    """What cannot be done without; the last is the floor that the ratios are to."""
    yield "floor: decode", run(FLOORS, "decode", pool.root, ",".join(map(str, SHAPE)))
    yield "floor: decode, one forward pass", run(FLOORS, "forward", pool.root, checkpoint)
    yield "floor: load network, one forward pass from memory", run(FLOORS, "tensors", pool.pixels, checkpoint)


def scores_of(pool: Pool, checkpoint: Path, keep: Path, *, all_ways: bool) -> Iterator[tuple[str, Ran]]:
    """`dfal score` of everything and of the nearest: cold, again, and with the cache for the first and second time."""
    command = (
        "-m", "dfal_cli", "score", "--images", pool.root, "--checkpoint", checkpoint, "--device", "cpu", "--quiet",
        "--force", "--out", keep / "scores.parquet",
    )  # fmt: skip
    nearest = round(NEAREST_SHARE * pool.count)
    for name, further in (("score", ()), (f"score --nearest {nearest}", ("--nearest", nearest))):
        if all_ways:
            forget(pool)
            yield f"{name}, cold", run(*command, *further)
        yield f"{name}, second run", run(*command, *further)
        if all_ways and has_cache():
            cache = keep / "cache"
            shutil.rmtree(cache, ignore_errors=True)
            forget(pool)
            yield f"{name} --cache, cold", run(*command, *further, "--cache", cache)
            yield f"{name} --cache, second run", run(*command, *further, "--cache", cache)


def has_cache() -> bool:
    """Whether this dfal knows --cache."""
    command = [sys.executable, "-m", "dfal_cli", "score", "--help"]
    return "--cache" in subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> None:
    """Make the folders and the network, run the processes, print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep images and network for the next run")
    parser.add_argument("--pools", type=int, nargs="+", default=POOLS, metavar="N", help="how many images to score")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        keep = options.keep or Path(name)
        keep.mkdir(parents=True, exist_ok=True)
        folder = image_folder("mnist", keep, LABELLED + max(options.pools))
        images = list(read_labels(folder.labels)["image"].sample(frac=1, random_state=0))
        checkpoint = train(folder, images[:LABELLED], keep)
        print(f"{folder.name}, LeNet5, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}\n")
        for row in (COLUMNS, ["---"] * len(COLUMNS)):
            print("|", " | ".join(row), "|")
        for count in options.pools:
            pool = make_pool(folder, images[LABELLED : LABELLED + count], keep)
            floors = dict(floors_of(pool, checkpoint))
            floor = list(floors.values())[-1]
            for what, ran in floors.items():
                show(what, pool, ran, floor)
            for what, ran in scores_of(pool, checkpoint, keep, all_ways=count == max(options.pools)):
                show(what, pool, ran, floor)


def show(what: str, pool: Pool, ran: Ran, floor: Ran) -> None:
    """Print a row of a Markdown table."""
    cells = (
        what, f"{pool.count:,}", f"{ran.seconds:.1f}", f"{ran.cpu_seconds:.1f}", f"{pool.count / ran.seconds:,.0f}",
        f"{ran.mebibytes:,.0f}", f"{ran.seconds / floor.seconds:.2f}",
        f"{ran.cpu_seconds / floor.cpu_seconds:.2f}",
    )  # fmt: skip
    print("|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
