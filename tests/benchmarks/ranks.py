"""score, embed and train over two ranks, beside one on one core: python tests/benchmarks/ranks.py [--keep DIR]

The first rows of each table are the command on one core, started by torchrun as one rank and without torchrun, with one
thread that computes and one that decodes. Then come two ranks, on one core each, and what runs without torchrun: one
process on all cores. Start-up is included, torchrun's as well. Rounds alternate, and the minimum of each row is shown.
--before TREE: also the command of another checkout, on all cores.
"""

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from comparison.folders import image_folder
from embed import link_photos
from score import Ran, make_pool, run, train

from dfal_cli.tables import read_labels

IMAGES, PHOTOS, RANKS = 20_000, 2_000, 2
COLUMNS = ("process", "s", "CPU s", "images/s", "x 1 rank")

Command = tuple[object, ...]


def commands(keep: Path) -> Iterator[tuple[str, int, Command]]:
    """Name, number of images and arguments of each command."""
    digits = image_folder("mnist", keep, IMAGES + 1_000)
    names = list(read_labels(digits.labels)["image"])
    checkpoint = train(digits, names[:1_000], keep)
    pool = make_pool(digits, names[1_000 : IMAGES + 1_000], keep)
    score = ("score", "--images", pool.root, "--checkpoint", checkpoint, "--out", keep / "scores.parquet")
    yield f"score, LeNet5, {digits.name}", pool.count, score
    yield f"score --nearest {pool.count // 100}, LeNet5, {digits.name}", pool.count, (
        *score, "--nearest", pool.count // 100,
    )  # fmt: skip
    clothes = image_folder("clothing10", keep, PHOTOS)
    photos = link_photos(clothes, PHOTOS, keep)
    embed = ("embed", "--images", photos, "--out", keep / "embeddings.parquet", "--backbone", "lite0")
    yield f"embed, lite0, {clothes.name}", PHOTOS, embed
    table = read_labels(clothes.labels)
    training = (
        "train", "--images", clothes.root, "--labels", clothes.labels, "--out", keep / "trained.safetensors",
        "--arch", "resnet18", "--image-size", "64", "--epochs", "3", "--batch-size", "128",
    )  # fmt: skip
    yield f"train, ResNet-18 at 64 pixels, 3 epochs, {clothes.name}", 3 * len(table), training


def rows_of(command: Command, before: Path | None) -> Iterator[tuple[str, Ran]]:
    """The command in each way; every one starts from nothing."""
    arguments = (*command, "--device", "cpu", "--quiet", "--force")
    alone = ("-m", "dfal_cli")
    cores = os.sched_getaffinity(0)
    with environment(OMP_NUM_THREADS="1"):
        os.sched_setaffinity(0, {min(cores)})  # what is started inherits it
        yield "1 rank, one core", run(*torchrun(1), *arguments)
        yield "one process, one core", run(*alone, *arguments)
        os.sched_setaffinity(0, cores)
        yield f"{RANKS} ranks", run(*torchrun(RANKS), *arguments)
    with environment(OMP_NUM_THREADS=None):
        yield "one process, all cores", run(*alone, *arguments)
        if before is not None:
            with environment(PYTHONPATH=str(before)):
                yield "one process, all cores, before", run(*alone, *arguments)


@contextlib.contextmanager
def environment(**variables: str | None) -> Iterator[None]:
    """Set environment variables in the block, or remove those that are None."""
    before = {name: os.environ.get(name) for name in variables}
    put(variables)
    try:
        yield
    finally:
        put(before)


def put(variables: Mapping[str, str | None]) -> None:
    """Set or remove environment variables."""
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def torchrun(ranks: int) -> Command:
    """Arguments that start dfal as so many ranks."""
    return ("-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}", "-m", "dfal_cli")


def main() -> None:
    """Make the folders, run the processes, print a table for each command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the images for the next run")
    parser.add_argument("--rounds", type=int, default=2, metavar="N", help="how often to run each process")
    parser.add_argument("--before", type=Path, metavar="TREE", help="another checkout of dfal")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        keep = options.keep or Path(name)
        keep.mkdir(parents=True, exist_ok=True)
        print(f"{len(os.sched_getaffinity(0))} cores, Python {sys.version.split()[0]}, {time.strftime('%Y-%m-%d')}")
        for what, count, command in commands(keep):
            print(f"\n{what}, {count:,} images\n")
            for cells in (COLUMNS, ["---"] * len(COLUMNS)):
                print("|", " | ".join(cells), "|")
            rounds = [dict(rows_of(command, options.before)) for _ in range(options.rounds)]
            best = {way: Ran(*map(min, zip(*(ran[way] for ran in rounds), strict=True))) for way in rounds[0]}
            for way, ran in best.items():
                share = ran.seconds / best["1 rank, one core"].seconds
                print(
                    f"| {way} | {ran.seconds:.1f} | {ran.cpu_seconds:.1f} | {count / ran.seconds:,.0f} | {share:.2f} |"
                )


if __name__ == "__main__":
    main()
