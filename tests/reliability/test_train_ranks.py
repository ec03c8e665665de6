"""train over several ranks: the network of one process but for rounding, whoever dies, and however many resume it."""

import json
import platform
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import MEANS, draw_folder, write
from tests.reliability.commands import run
from tests.reliability.ranks import Ranks, ranks, run_ranks

HOST = platform.node()
STATE = ".m.safetensors.training"

NETWORKS = """
import os, time, torch
from torch import nn

def plain(num_classes, input_shape):
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.Tanh(), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(36, 8), nn.Tanh(),
        nn.Linear(8, num_classes)
    )

def normed(num_classes, input_shape):
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Tanh(), nn.AvgPool2d(4), nn.Flatten(),
        nn.Linear(36, 8, bias=False), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, num_classes)
    )

def backbone(input_shape):
    return nn.Sequential(nn.Conv2d(3, 4, 5), nn.Tanh(), nn.AvgPool2d(4), nn.Flatten())

class Odd(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.used, self.unused, self.normed = nn.Linear(256, num_classes), nn.Linear(256, 5), nn.InstanceNorm1d(1)
    def forward(self, images):
        if len(images) > int(os.environ.get("MOST", 1000)):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")
        if self.training:
            time.sleep(float(os.environ.get("SECONDS_A_FORWARD", 0)))
            if len(images) == int(os.environ.get("BROKEN_AT", 0)): 1 / 0
        return self.used(images.flatten(1))

def odd(num_classes, input_shape): return Odd(num_classes)

class OwnNorm(nn.BatchNorm1d):
    pass

def own_norm(num_classes, input_shape): return nn.Sequential(nn.Flatten(), OwnNorm(256), nn.Linear(256, num_classes))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with 62 images of two classes, of which the last 9 are for tests, and networks of the user's own."""
    folder = tmp_path / "work"
    draw_folder(folder, each=31)
    header, *rows = (folder / "oracle.csv").read_text().splitlines()
    write(folder / "labels.csv", header, *rows[:-9])
    write(folder / "test.csv", header, *rows[-9:])
    write(folder / "nets.py", NETWORKS)
    write(folder / "means.py", MEANS)
    return folder


def train(network: str = "plain", *further: object, epochs: int = 6) -> tuple[object, ...]:
    return (
        "train", "--images", "images", "--labels", "labels.csv", "--test", "test.csv", "--out", "m.safetensors",
        "--arch", f"nets:{network}", "--device", "cpu", "--epochs", epochs, "--batch-size", 15, "--json", *further,
    )  # fmt: skip


def taken(folder: Path, said: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The weights and the results of a training, whose checkpoint is removed."""
    weights = load_file(folder / "m.safetensors")
    (folder / "m.safetensors").unlink()
    assert not {path.name for path in folder.iterdir() if path.name.startswith(".m.")} - {".m.safetensors.lock"}
    return weights, json.loads(_line(said))


def _line(said: str) -> str:
    return next(line for line in said.splitlines() if line.startswith("{"))


def of_one(folder: Path, arguments: tuple[object, ...]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    return taken(folder, run(folder, arguments))


def must_agree(one: tuple[dict[str, torch.Tensor], dict[str, Any]], other: tuple[Any, Any]) -> None:
    """The same epochs and counts, and the same numbers but for rounding."""
    torch.testing.assert_close(other[0], one[0], rtol=1e-3, atol=1e-4)
    for name in ("restart", "epoch", "epochs", "counts", "learnt"):
        assert other[1][name] == one[1][name]
    for name in ("validation", "test"):
        assert other[1][name]["confusion"] == one[1][name]["confusion"]
        assert other[1][name]["loss"] == pytest.approx(one[1][name]["loss"], rel=1e-3)
    numbers = [[tuple(epoch.values()) for epoch in each["history"]] for each in (one[1], other[1])]
    assert numbers[1] == [pytest.approx(epoch, rel=1e-3, abs=1e-4) for epoch in numbers[0]]


@pytest.mark.parametrize(
    ("arguments", "counts"),
    [
        (train("plain", "--augment", "shift", "--restarts", 2, "--lr", 0.02, "--patience", 2, epochs=12), (2, 3)),
        (train("normed", "--sync-batch-norm"), (3,)),
        (train("backbone", "--finetune", "--validation", "labels.csv", "--image-size", 16, epochs=3), (2,)),
    ],
    ids=["plain", "batch norm", "fine-tuning"],
)
def test_any_number_of_ranks_trains_the_network_of_one_process(project, arguments, counts) -> None:
    one = of_one(project, tuple(each for each in arguments if each != "--sync-batch-norm"))
    for count in counts:
        said = run_ranks(project, arguments, count)
        assert f"{count} ranks on 1 machine: batches of 15 images" in said[0] and "learning rate" in said[0]
        assert not any(said[1:])
        must_agree(one, taken(project, said[0]))


def killed(folder: Path, arguments: tuple[object, ...], generator: random.Random, count: int) -> tuple[Ranks, int]:
    """Run ranks of which one is killed at a random moment; return them and its number."""
    with ranks(folder, arguments, count, SECONDS_A_FORWARD="0.01") as running:
        running.wait_until(lambda: "ranks on 1 machine" in running.said()[0])
        time.sleep(generator.uniform(0, 1.5))
        victim = generator.randrange(count)
        running.processes[victim].kill()
        running.ended()
    return running, victim


@pytest.mark.parametrize("kills", [4, pytest.param(30, marks=pytest.mark.long)])
def test_a_killed_rank_ends_all_with_one_message_and_any_number_of_ranks_resume(project: Path, kills: int) -> None:
    arguments = train("odd", "--patience", 99, epochs=60)
    one = of_one(project, arguments)
    generator = random.Random(kills)
    hit = told = 0
    for attempt in range(kills):
        running, victim = killed(project, arguments, generator, 2 + attempt % 2)
        codes, said = [process.exitcode for process in running.processes], running.said()
        assert all("Traceback" not in each for each in said), said
        if codes[victim] == -signal.SIGKILL and any(codes[:victim] + codes[victim + 1 :]):
            hit += 1
            speaker = 0 if victim else 1
            assert codes[speaker] in (75, 143, -signal.SIGTERM), said  # 75, unless the signal to end comes first
            is_told = f"rank {victim} on {HOST} has ended" in said[speaker]
            assert is_told or codes[speaker] != 75, said
            told += is_told
        if (project / "m.safetensors").exists():  # it was over before
            (project / "m.safetensors").unlink()
    assert hit > kills / 4, "most of the kills came too late to hit anything"
    assert told > hit / 2
    said = run_ranks(project, arguments, 2)
    assert "resuming after epoch" in said[0]
    must_agree(one, taken(project, said[0]))


def test_a_signal_to_all_ranks_ends_the_training_after_the_epoch_and_one_process_resumes_it(project: Path) -> None:
    arguments = train("odd", "--patience", 99, epochs=40)
    one = of_one(project, arguments)
    with ranks(project, arguments, 3, SECONDS_A_FORWARD="0.02") as running:
        running.wait_until((project / STATE).exists)
        running.terminate()
        codes, said = running.ended(), running.said()
    assert codes[0] == 143, said
    assert "interrupted after epoch" in said[0] and "has ended" not in said[0]
    assert not any(said[1:])
    said_alone = run(project, arguments)
    assert "resuming after epoch" in said_alone
    must_agree(one, taken(project, said_alone))


def test_another_rank_that_runs_out_of_memory_ends_all_with_its_advice(project: Path) -> None:
    with ranks(project, train("odd"), 2, MOST="3") as running:
        codes, said = running.ended(), running.said()
    assert codes[0] == 75, said
    assert "out of memory; use a smaller batch: --batch-size 7" in said[0] and "Traceback" not in said[0]
    assert not said[1]


def test_an_error_in_the_network_on_another_rank_is_told_by_rank_0(project: Path) -> None:
    with ranks(project, train("odd"), 2, BROKEN_AT="7") as running:
        codes, said = running.ended(), running.said()
    assert codes[0] == 2, said
    assert "--arch nets:odd: fails on 16x16 grey images: ZeroDivisionError" in said[0] and "Traceback" not in said[0]
    assert not said[1]


def test_batch_norm_of_the_users_own_cannot_be_synchronised(project: Path) -> None:
    with ranks(project, train("own_norm", "--sync-batch-norm"), 2) as running:
        codes, said = running.ended(), running.said()
    assert codes[0] == 2 and "--sync-batch-norm: body.1 is a OwnNorm, which cannot be synchronised" in said[0], said
    assert not said[1]


def test_what_is_done_or_takes_seconds_is_left_to_rank_0(project: Path) -> None:
    run(project, train())
    before = (project / "m.safetensors").read_bytes()
    said = run_ranks(project, train(), 2)
    assert json.loads(_line(said[0]))["status"] == "up to date" and not said[1]
    assert (project / "m.safetensors").read_bytes() == before
    run(
        project,
        ("embed", "--images", "images", "--out", "e.parquet", "--backbone", "means:backbone", "--image-size", 16),
    )
    head = ("train", "--embeddings", "e.parquet", "--labels", "labels.csv", "--out")
    run(project, (*head, "one.safetensors"))
    said = run_ranks(project, (*head, "two.safetensors"), 2)
    assert "a head is trained by one rank; the others have nothing to do" in said[0] and not said[1]
    assert (project / "two.safetensors").read_bytes() == (project / "one.safetensors").read_bytes()


WITHOUT_RANKS = """
import sys
from dfal_cli.cli import main
try: main()
except SystemExit as ended: assert not ended.code
names = ("training.ranks", "training.batch_norm", "steps.train.leading", "steps.train.helping", "system.leading")
print([name for name in sys.modules if name.removeprefix("dfal_cli.") in names], file=sys.stderr)
"""


def test_torchrun_starts_it_and_one_process_imports_nothing_of_ranks(project: Path) -> None:
    arguments = [*map(str, train("plain", "--quiet"))]
    once = subprocess.run(
        [sys.executable, "-c", WITHOUT_RANKS, *arguments], cwd=project, capture_output=True, text=True, check=True
    )
    assert once.stderr.splitlines()[-1] == "[]"
    one = taken(project, once.stdout)
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "dfal_cli")
    done = subprocess.run([*torchrun, *arguments], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    must_agree(one, taken(project, done.stdout))
