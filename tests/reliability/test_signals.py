"""SIGINT and SIGTERM: the first keeps what is finished, the second ends at once; no process is left, none hangs."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import dfal, draw_divided_folder
from tests.reliability.processes import PROGRAM, ended, names, said, started, wait_until

CODES = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]

LONG = ("--epochs", 1_000_000, "--patience", 1_000_000, "--device", "cpu", "--force")


@pytest.fixture
def house(trained: Path, in_tmp: Path) -> Path:
    """images/, labels.csv and model.safetensors."""
    for name in ("images", "labels.csv", "model.safetensors"):
        Path(name).symlink_to(trained / name)
    return in_tmp


def train(*further: object) -> tuple[object, ...]:
    return ("train", "--images", "images", "--labels", "labels.csv", "--out", "out/m.safetensors", *further)


@pytest.mark.parametrize(("number", "code"), CODES)
def test_a_stopped_training_keeps_its_epochs_and_the_earlier_checkpoint(
    house: Path, number: signal.Signals, code: int
) -> None:
    assert dfal(*train("--epochs", 1)).code == 0
    before = Path("out/m.safetensors").read_bytes()
    with started(*train(*LONG)) as process:
        said(process, "training")
        time.sleep(0.5)  # for some epochs
        process.send_signal(number)
        done = ended(process)
    assert (done.code, done.stdout) == (code, "")
    assert done.stderr.startswith("dfal train: interrupted after epoch ")
    assert done.stderr.endswith("; run the same command again to resume\n")
    assert len(done.stderr.splitlines()) == 1
    assert Path("out/m.safetensors").read_bytes() == before
    assert names(Path("out")) == {"m.safetensors", ".m.safetensors.training"}


def test_a_second_signal_ends_at_once(house: Path) -> None:
    with started(*train(*LONG), program=(PROGRAM[0], "-c", ENDLESS_EPOCH)) as process:
        said(process, "training")
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert process.poll() is None, "the epoch in hand is to be finished"
        process.send_signal(signal.SIGTERM)
        done = ended(process)
    assert (done.code, done.stdout, done.stderr) == (143, "", "")


ENDLESS_EPOCH = """
import time
from dfal_cli.training import fitting as training
from dfal_cli.cli import main

def endless(*arguments):
    while True:
        time.sleep(0.1)

training._epoch = endless
main()
"""


@pytest.mark.parametrize(
    ("loaded", "number", "code"),
    [
        ("dfal_cli.errors", signal.SIGINT, 130),
        ("typer.main", signal.SIGTERM, 143),
        ("numpy", signal.SIGINT, 130),
        ("torch.nn.modules.linear", signal.SIGTERM, 143),
        ("torchvision.ops", signal.SIGINT, 130),
    ],
)
def test_a_command_that_is_still_being_loaded_ends_without_a_traceback(
    house: Path, loaded: str, number: signal.Signals, code: int
) -> None:
    program = (PROGRAM[0], "-X", "importtime", *PROGRAM[1:])
    with started(*train(*LONG), program=program) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.split("|")[-1].strip() == loaded:
                break
        process.send_signal(number)
        done = ended(process)
    assert done.code in (code, -number)  # at first it is the system that ends it: the shell calls that 128 + n, too
    assert "Traceback" not in done.stderr
    assert "out" not in names(house)


def test_a_signal_that_the_caller_had_ignored_stays_ignored(house: Path) -> None:
    ignoring = lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)  # noqa: E731
    with started(*train("--epochs", 2), preexec_fn=ignoring) as process:
        said(process, "training")
        process.send_signal(signal.SIGINT)
        assert ended(process).code == 0
    assert names(Path("out")) == {"m.safetensors"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_simulation_that_is_starting_its_processes_leaves_none(in_tmp: Path, number: signal.Signals) -> None:
    draw_divided_folder(in_tmp / "in")
    command = (
        "simulate", "--images", "in/images", "--labels", "in/pool.csv", "--test", "in/test.csv", "--out", "out",
        "--initial", 4, "--count", 4, "--budget", 16, "--jobs", 2, "--device", "cpu", "--seed", 3,
    )  # fmt: skip
    with started(*command, start_new_session=True) as process:
        wait_until(lambda: Path("out/.rounds/input.json").exists())
        time.sleep(0.3)  # the processes have been started, and import what they need
        if number == signal.SIGTERM:
            os.killpg(process.pid, number)  # as a terminal or a scheduler does
        else:
            process.send_signal(number)
        done = ended(process)
    assert done.code == (143 if number == signal.SIGTERM else -signal.SIGKILL)
    assert "Traceback" not in done.stderr
    wait_until(lambda: not _session(process.pid))


def _session(number: int) -> list[str]:
    listed = subprocess.run(["ps", "-o", "pid=,stat=", "-s", str(number)], capture_output=True, text=True, check=False)
    return [line for line in listed.stdout.splitlines() if "Z" not in line]
