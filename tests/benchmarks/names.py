"""Long lists of names, time and memory: python tests/benchmarks/names.py [--names N N] [--steps STEP ...] [--keep DIR]

What listing, part files, the rows of `score` and every kind of `select` take for two numbers of images, and what that
amounts to for 100 million, on a straight line. Each step is a process of its own; its memory is what the process took
beyond its imports. Only the first step reads a folder: the names of the others are made up.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from names_steps import FOR_REAL, STEPS

NAMES = (1_000_000, 10_000_000)
RECKONED = 100_000_000
COLUMNS = ("step", "images", "s", "CPU s", "MiB", "bytes an image", "CPU s for 100 million", "GiB for 100 million")


class Taken(NamedTuple):
    """What a step took, beyond the imports of its process."""

    seconds: float
    cpu: float
    """CPU seconds."""
    memory: float
    """Bytes."""


def run(step: str, folder: Path, count: int) -> Taken:
    """Do a step in a process of its own."""
    result = folder / "result.json"
    arguments = [sys.executable, __file__, "--keep", f"{folder}", "--names", f"{count}", "--steps", step, "--here"]
    process = os.posix_spawn(sys.executable, arguments, os.environ)
    _, status = os.waitpid(process, 0)
    if status:
        raise SystemExit(f"failed: {step}")
    return Taken(*json.loads(result.read_text()))


def run_here(step: str, folder: Path, count: int) -> None:
    """Do a step, and leave what it took in a file."""
    work = STEPS[step](folder, count)
    before = Taken(time.perf_counter(), time.process_time(), peak())
    kept = work()
    after = Taken(time.perf_counter(), time.process_time(), peak())
    taken = [end - start for start, end in zip(before, after, strict=True)]
    (folder / "result.json").write_text(json.dumps(taken))
    del kept
    os._exit(0)  # freeing many objects takes long


def peak() -> int:
    """The peak memory of this process so far, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(steps: Sequence[str], names: Sequence[int], folder: Path) -> None:
    """Print a row for each step and number of names."""
    for row in (COLUMNS, ["---"] * len(COLUMNS)):
        print("|", " | ".join(row), "|")
    for step in steps:
        before: tuple[int, Taken] | None = None
        for count in sorted(names):
            taken = run(step, folder, count)
            images = count // FOR_REAL if step == "list a folder" else count
            cells = [step, f"{images:,}", f"{taken.seconds:,.1f}", f"{taken.cpu:,.1f}", f"{taken.memory / 2**20:,.0f}"]
            cells.append(f"{taken.memory / images:,.0f}")
            if before is not None:
                longer = (RECKONED - images) / (images - before[0])
                cells.append(f"{taken.cpu + longer * (taken.cpu - before[1].cpu):,.0f}")
                cells.append(f"{(taken.memory + longer * (taken.memory - before[1].memory)) / 2**30:,.1f}")
            before = images, taken
            print("|", " | ".join([*cells, *[""] * (len(COLUMNS) - len(cells))]), "|", flush=True)


def main() -> None:
    """Make what the steps need, and measure them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the files for the next run")
    parser.add_argument("--names", type=int, nargs="+", default=NAMES, metavar="N", help="how many images")
    parser.add_argument("--steps", nargs="+", default=list(STEPS), choices=STEPS, help="which of the rows")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = (options.keep or Path(name)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        if options.here:
            run_here(options.steps[0], folder, options.names[0])
        measure(options.steps, options.names, folder)


if __name__ == "__main__":
    main()
