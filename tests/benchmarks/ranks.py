"""score and embed over two ranks, beside one process on one core: python tests/benchmarks/ranks.py [--keep DIR]

The first row of each table is the command on one core, with one thread that computes and one that decodes; the second
is the command over two ranks, on one core each, and the third what runs without torchrun: one process on all cores.
Start-up is included, torchrun's as well. Rounds alternate, and the minimum of each row is shown.
--before TREE: also the command of another checkout, on all cores.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from comparison.folders import image_folder
from embed import link_photos
from score import Ran, make_pool, run, train

from dfal_cli.tables import read_labels

IMAGES, PHOTOS, RANKS = 20_000, 2_000, 2
COLUMNS = ("process", "s", "CPU s", "images/s", "x one core")

Command = tuple[object, ...]

ON_ONE_CORE = (
    "-c",
    "import os, runpy, sys; os.sched_setaffinity(0, [0]); runpy.run_module('dfal_cli', alter_sys=True)",
)


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


def rows_of(command: Command, before: Path | None) -> Iterator[tuple[str, Ran]]:
    """The command in each way; every one starts from nothing."""
    arguments = (*command, "--device", "cpu", "--quiet", "--force")
    threads = os.environ.pop("OMP_NUM_THREADS", None)
    os.environ["OMP_NUM_THREADS"] = "1"
    yield "one core", run(*ON_ONE_CORE, *arguments)
    ranks = ("-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={RANKS}")
    yield f"{RANKS} ranks", run(*ranks, "-m", "dfal_cli", *arguments)
    del os.environ["OMP_NUM_THREADS"]
    yield "one process, all cores", run("-m", "dfal_cli", *arguments)
    if before is not None:
        here = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = str(before)
        yield "one process, all cores, before", run("-m", "dfal_cli", *arguments)
        os.environ["PYTHONPATH"] = here or ""
    if threads is not None:
        os.environ["OMP_NUM_THREADS"] = threads


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
                share = ran.seconds / best["one core"].seconds
                print(
                    f"| {way} | {ran.seconds:.1f} | {ran.cpu_seconds:.1f} | {count / ran.seconds:,.0f} | {share:.2f} |"
                )


if __name__ == "__main__":
    main()
