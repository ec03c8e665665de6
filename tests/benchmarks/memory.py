"""Peak memory of `dfal score` as the pool grows: python tests/benchmarks/memory.py [--keep DIR] [--names N ...]

The pool is hard links to a few PNGs of 4 x 4 pixels, and the network linear, so that file names are what grows. Bytes a
name are counted from the smallest pool to each larger one.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from dfal_cli.checkpoint import save_checkpoint
from dfal_cli.models import build_network
from dfal_cli.models.seeding import seeded

NAMES = (1_000, 1_000_000)
DIFFERENT = 100
"""A file has at most 65,000 names on ext4."""
IN_A_FOLDER = 1_000
SHAPE = (1, 4, 4)
CLASSES = tuple("0123456789")
ARCHITECTURE = "memory:linear"
WAYS = {
    "score": (),
    "score --nearest 1000": ("--nearest", "1000"),
    "score, to CSV": (),
    "score --measure embedding": ("--measure", "embedding"),
}
COLUMNS = ("process", "names", "s", "peak MiB", "bytes a name")


def linear(num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
    """The smallest network there is."""
    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(input_shape)), num_classes))


def make_pool(folder: Path, names: int) -> Path:
    """So many names in folders of a thousand."""
    pool, originals = folder / f"pool-{names}", folder / "originals"
    if pool.exists():
        return pool
    originals.mkdir(exist_ok=True)
    generator = np.random.default_rng(0)
    for number in range(DIFFERENT):
        pixels = generator.integers(0, 256, SHAPE[1:], dtype=np.uint8)
        Image.fromarray(pixels).save(originals / f"{number}.png")
    unfinished = folder / f"unfinished-{names}"
    for number in range(names):
        within, place = divmod(number, IN_A_FOLDER)
        if place == 0:
            (unfinished / f"{within:04d}").mkdir(parents=True, exist_ok=True)
        os.link(f"{originals}/{number % DIFFERENT}.png", f"{unfinished}/{within:04d}/{number:07d}.png")
    return unfinished.rename(pool)


def make_checkpoint(folder: Path) -> Path:
    """A linear network as it is drawn."""
    path = folder / "linear.safetensors"
    with seeded(0, torch.device("cpu")):
        model = build_network(ARCHITECTURE, len(CLASSES), SHAPE)
    save_checkpoint(path, model, architecture=ARCHITECTURE, classes=CLASSES, input_shape=SHAPE, extra_metadata={})
    return path


def peak_of(pool: Path, checkpoint: Path, way: str, folder: Path) -> tuple[float, float]:
    """Wall seconds and the largest memory in bytes of a `dfal score` of its own."""
    out = folder / ("scores.csv" if "CSV" in way else "scores.parquet")
    command = [
        sys.executable, "-m", "dfal_cli", "score", "--images", pool, "--checkpoint", checkpoint, "--out", out,
        "--arch", ARCHITECTURE, "--device", "cpu", "--quiet", "--force", *WAYS[way],
    ]  # fmt: skip
    child = (  # a child's peak is at least what its parent had, and this process has loaded torch
        "import os, sys\n"
        "process = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)\n"
        "_, status, usage = os.wait4(process, 0)\n"
        "print(usage.ru_maxrss * 1024, file=open(os.environ['PEAK'], 'w'))\n"
        "sys.exit(os.waitstatus_to_exitcode(status))\n"
    )
    peak = folder / "peak"
    started = time.perf_counter()
    environment = os.environ | {"PEAK": f"{peak}"}
    arguments = [sys.executable, "-c", child, *map(str, command)]
    process = os.posix_spawn(
        sys.executable, arguments, environment, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    )
    _, status = os.waitpid(process, 0)
    if status:
        raise SystemExit(f"failed: {way}")
    return time.perf_counter() - started, float(peak.read_text())


def measure(ways: Sequence[str], names: Sequence[int], folder: Path) -> None:
    """Print a row for each way and number of names."""
    checkpoint = make_checkpoint(folder)
    for row in (COLUMNS, ["---"] * len(COLUMNS)):
        print("|", " | ".join(row), "|")
    for way in ways:
        least = 0.0
        for count in sorted(names):
            seconds, peak = peak_of(make_pool(folder, count), checkpoint, way, folder)
            grown = f"{(peak - least) / (count - min(names)):,.0f}" if least else ""
            least = least or peak
            print(
                "|", " | ".join((way, f"{count:,}", f"{seconds:.1f}", f"{peak / 2**20:,.0f}", grown)), "|", flush=True
            )


def main() -> None:
    """Make the pools and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the pools for the next run")
    parser.add_argument("--names", type=int, nargs="+", default=NAMES, metavar="N", help="how many file names")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS, help="which of the rows")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = (options.keep or Path(name)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        os.chdir(Path(__file__).parent)  # where --arch finds this module
        sys.path.insert(0, os.curdir)
        measure(options.ways, options.names, folder)


if __name__ == "__main__":
    main()
