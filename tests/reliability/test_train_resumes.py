"""train: interrupted or killed and called again, it gives the checkpoint of an uninterrupted run, byte for byte."""

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dfal_cli.checkpoint import read_checkpoint_metadata
from dfal_cli.system.fingerprints import sha256_of
from dfal_cli.training.state import State, TrainingState
from tests.conftest import Ended, dfal, draw_folder, write
from tests.reliability.processes import ended, names, started

STATE = ".m.safetensors.training"

DROPOUT = """
import torch
from torch import nn

def network(num_classes, input_shape):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(256, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.4), nn.Linear(64, num_classes)
    )
"""

SETTINGS = {
    "plain": ("--arch", "lenet5", "--epochs", 40, "--patience", 40),
    "dropout": (
        "--arch",
        "own:network",
        "--augment",
        "shift",
        "--epochs",
        40,
        "--patience",
        40,
        "--monitor",
        "accuracy",
    ),
    "restarts": ("--arch", "own:network", "--restarts", 3, "--epochs", 15, "--patience", 6, "--lr", 0.01),
}

KILLED_AFTER_EPOCHS = """
import os, signal, sys
from dfal_cli.training import state as training_state
from dfal_cli.cli import main
training_state.SECONDS_BETWEEN, training_state.LARGEST_SHARE = 0, 1e9  # keep every epoch
write, left = training_state.TrainingState.write, int(sys.argv.pop(1))

def write_until_killed(*arguments):
    global left
    left -= 1
    written = write(*arguments)
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return written

training_state.TrainingState.write = write_until_killed
main()
"""


@pytest.fixture
def house(in_tmp: Path) -> Path:
    """images/ and labels.csv of 40 images, and a network of the user's own."""
    draw_folder(in_tmp / "in")
    write(in_tmp / "own.py", DROPOUT)
    return in_tmp


@pytest.fixture
def terminated(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Send this process a SIGTERM after so many epochs."""
    offered = TrainingState.write_now_and_then
    left = 0

    def after(epochs: int) -> None:
        nonlocal left
        left = epochs

    def offer(state: TrainingState, content: Callable[[], State]) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        offered(state, content)

    monkeypatch.setattr(TrainingState, "write_now_and_then", offer)
    return after


def command(out: str, *further: object) -> tuple[object, ...]:
    files = ("--images", "in/images", "--labels", "in/oracle.csv", "--out", f"{out}/m.safetensors")
    return ("train", *files, "--device", "cpu", *further)


def train(out: str, *further: object, code: int = 0) -> Ended:
    done = dfal(*command(out, *further))
    assert done.code == code, done.stderr
    return done


def checkpoint(out: str) -> bytes:
    return Path(out, "m.safetensors").read_bytes()


@pytest.mark.parametrize("setting", SETTINGS)
def test_an_interrupted_training_resumes_to_the_same_bytes(
    house: Path, terminated: Callable[[int], None], setting: str
) -> None:
    train("once", *SETTINGS[setting])
    for epochs in (3, 13, 1):
        terminated(epochs)
        stopped = train("out", *SETTINGS[setting], code=143)
        assert re.search(r"interrupted after epoch \d+.*; run the same command again to resume\n$", stopped.stderr)
        assert names(Path("out")) == {STATE}
    done = train("out", *SETTINGS[setting])
    assert re.search(r"^resuming after epoch \d+", done.stderr, re.MULTILINE)
    assert checkpoint("out") == checkpoint("once")
    assert names(Path("out")) == {"m.safetensors"}


@pytest.mark.slow
def test_a_killed_training_resumes_to_the_same_bytes(house: Path) -> None:
    train("once", *SETTINGS["restarts"])
    for epochs in (5, 9):
        program = (sys.executable, "-c", KILLED_AFTER_EPOCHS, str(epochs))
        with started(*command("out", *SETTINGS["restarts"]), program=program) as process:
            assert ended(process).code == -signal.SIGKILL
        assert STATE in names(Path("out"))
    train("out", *SETTINGS["restarts"])
    assert checkpoint("out") == checkpoint("once")
    assert names(Path("out")) == {"m.safetensors"}


def test_a_training_resumes_after_the_test_file_was_corrected(house: Path, terminated: Callable[[int], None]) -> None:
    write(house / "test.csv", "image,label", "000.png,dark", "001.png,dark")
    terminated(2)
    train("out", "--epochs", 5, "--test", "test.csv", code=143)
    write(house / "test.csv", "image,label", "000.png,dark", "001.png,light")
    done = train("out", "--epochs", 5, "--test", "test.csv")
    assert "resuming after epoch 2" in done.stderr
    train("once", "--epochs", 5, "--test", "test.csv")
    assert checkpoint("out") == checkpoint("once")


def test_a_link_to_the_checkpoint_resumes_the_training_of_its_target(
    house: Path, terminated: Callable[[int], None]
) -> None:
    Path("link").mkdir()
    Path("link/m.safetensors").symlink_to("../out/m.safetensors")
    train("once", "--epochs", 5)
    terminated(2)
    train("out", "--epochs", 5, code=143)
    assert "resuming after epoch 2" in train("link", "--epochs", 5).stderr
    assert names(Path("out")) == {"m.safetensors"}
    assert checkpoint("link") == checkpoint("once")


def test_a_short_training_keeps_no_state(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TrainingState, "write", lambda *_: pytest.fail("it costs more than it saves"))
    train("out", "--epochs", 3)


def test_an_earlier_checkpoint_stays_until_the_new_one_is_done(house: Path, terminated: Callable[[int], None]) -> None:
    train("out", "--epochs", 3)
    before = checkpoint("out")
    terminated(2)
    train("out", "--epochs", 5, "--force", code=143)
    assert checkpoint("out") == before
    train("once", "--epochs", 5)
    train("out", "--epochs", 5, "--force")
    assert checkpoint("out") == checkpoint("once")


def test_answers_merged_during_a_training_belong_to_the_next_one(house: Path) -> None:
    write(house / "merging.py", "from pathlib import Path", "import torch", DROPOUT.replace(
        "    return", "    Path('in/oracle.csv').open('a').write('new.png,dark\\n')\n    return"
    ))  # fmt: skip
    before = sha256_of(Path("in/oracle.csv"))
    train("out", "--arch", "merging:network", "--epochs", 1)
    assert read_checkpoint_metadata(Path("out/m.safetensors"))["labels_sha256"] == [before]
    assert sha256_of(Path("in/oracle.csv")) != before
