"""A pool and a network that takes its time, and `dfal score` as a process that is killed while it scores them."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch

from dfal_cli.checkpoint import save_checkpoint
from dfal_cli.models import build_network, seeded
from dfal_cli.system import parts
from tests.conftest import Ended, dfal, draw_folder, write

NETWORK = """
import os, shutil, time, torch

class Slow(torch.nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.drop, self.first = torch.nn.Dropout(0.5), torch.nn.Linear(256, 32)
        self.last = torch.nn.Linear(32, num_classes)
        self.forwards = 0
    def forward(self, images):
        self.forwards += 1
        if self.forwards == int(os.environ.get("INTERRUPTED_AT", 0)):
            raise KeyboardInterrupt
        if self.forwards == int(os.environ.get("FOLDER_REMOVED_AT", 0)):
            shutil.rmtree("new")
        if len(images) > int(os.environ.get("MOST", 1000)):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")
        time.sleep(float(os.environ.get("SECONDS_A_FORWARD", 0)))
        return self.last(self.drop(torch.tanh(self.first(images.flatten(1)))))

def network(num_classes, input_shape): return Slow(num_classes)
"""

SECONDS_A_FORWARD = 0.01

# Children are forked from a process that has loaded torch, once for all tests: that takes longer than scoring.
FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(["dfal_cli.steps.score.pixels", "dfal_cli.cli"])


def make_project(root: Path, seed: int = 0) -> None:
    """images/ (58 that can be read, 20 of them labelled, and 2 that cannot), labels.csv and net.safetensors."""
    draw_folder(root, each=29)
    for name in ("0055.png", "031a.png"):
        (root / "images" / name).write_bytes(b"not an image")
    write(root / "labels.csv", *(root / "oracle.csv").read_text().splitlines()[:21])
    write(root / "slow_net.py", NETWORK)
    make_checkpoint(root / "net.safetensors", seed)


def make_checkpoint(path: Path, seed: int) -> None:
    """A network as it is drawn: the images lie on both sides of its boundary."""
    with seeded(seed, torch.device("cpu")):
        model = build_network("slow_net:network", 2, (1, 16, 16))
    save_checkpoint(
        path,
        model,
        architecture="slow_net:network",
        classes=("dark", "light"),
        input_shape=(1, 16, 16),
        extra_metadata={},
    )


def command(out: str, *further: object, batch_size: int | None = 4) -> tuple[object, ...]:
    """`dfal score` of that project."""
    return (
        "score", "--images", "images", "--checkpoint", "net.safetensors", "--labels", "labels.csv", "--out", out,
        "--arch", "slow_net:network", "--device", "cpu", "--max-unreadable", 0.2,
        *(() if batch_size is None else ("--batch-size", batch_size)), *further,
    )  # fmt: skip


def score(out: str, *further: object, batch_size: int | None = 4) -> Ended:
    """The command, in this process."""
    return dfal(*command(out, *further, batch_size=batch_size))


def killed_when(come: Callable[[], bool], out: str, *further: object) -> bool:
    """Run the command as a process of its own, and kill it when it has come to that; False if it ended before."""
    process = FORKING.Process(
        target=_score_slowly, args=(str(Path.cwd()), [str(word) for word in command(out, *further)])
    )
    process.start()
    deadline = time.monotonic() + 60
    while process.is_alive() and not come():
        assert time.monotonic() < deadline, "it has not come to that"
        time.sleep(0.002)
    process.kill()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode == -signal.SIGKILL


def killed_again_and_again(out: str, *further: object) -> set[str]:
    """Kill it whenever it has written two parts, until it ends before; return which parts there were."""
    seen: set[str] = set()
    going = True
    while going:
        before = {path.name for path in parts_of(out)}

        def two_more(before: set[str] = before) -> bool:
            seen.update(path.name for path in parts_of(out))
            return len({path.name for path in parts_of(out)} - before) > 1

        going = killed_when(two_more, out, *further)
    return seen


def parts_of(out: str) -> list[Path]:
    """The parts beside an output."""
    return sorted(Path(f".{out}.parts").glob("*.part"))


def same_scores(one: str, other: str) -> bool:
    """Byte for byte as CSV, row for row as Parquet."""
    if one.endswith(".csv"):
        return Path(one).read_bytes() == Path(other).read_bytes()
    return _without_twins(one) == _without_twins(other)


def _without_twins(path: str) -> Any:
    table = pq.read_table(path).to_pydict()
    table["twin"] = [twin and Path(twin).name for twin in table["twin"]]  # their folder is called as the output is
    return table


def twins_in(out: str) -> dict[str, bytes]:
    """The twins of an output."""
    return {path.name: path.read_bytes() for path in Path(f"{out}.twins").iterdir()}


def files_beside(out: str) -> Iterator[str]:
    """Whatever has been left there by its name, but for the lock."""
    names = (path.name for path in Path.cwd().iterdir())
    return (name for name in names if name.lstrip(".").startswith(out) and name != f".{out}.lock")


def _score_slowly(folder: str, arguments: list[str]) -> None:
    os.chdir(folder)
    os.environ["SECONDS_A_FORWARD"] = str(SECONDS_A_FORWARD)
    parts.SECONDS, parts.SHARE = 0.02, 1.0
    sys.exit(dfal(*arguments).code)
