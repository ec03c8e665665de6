"""A command that is interrupted ends with the documented code and leaves nothing half written."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import dfal


def interrupt_training(root: Path, number: signal.Signals) -> tuple[int, str, str]:
    """Start a training that would take hours, send it a signal in the midst of it, and return how it ended."""
    arguments = ["--images", root / "images", "--labels", root / "labels.csv", "--out", "m.safetensors"]
    long = ["--epochs", "1000000", "--patience", "1000000", "--device", "cpu", "--force"]
    process = subprocess.Popen(
        [sys.executable, "-m", "dfal_cli", "train", *map(str, arguments), *long],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # A test run in the background may have been told to ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
    )  # fmt: skip
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("training"):
                break
        time.sleep(1)  # for some epochs
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, stdout, stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_training_leaves_the_old_checkpoint_and_nothing_else(
    trained: Path, in_tmp: Path, number: signal.Signals, code: int
) -> None:
    Path("m.safetensors").write_bytes((trained / "model.safetensors").read_bytes())
    ended, stdout, stderr = interrupt_training(trained, number)
    assert (ended, stdout) == (code, "")
    assert "Traceback" not in stderr
    assert Path("m.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()
    assert {path.name for path in in_tmp.iterdir()} <= {"m.safetensors", ".m.safetensors.lock"}
    again = dfal(
        "train", "--images", trained / "images", "--labels", trained / "labels.csv", "--out", "m.safetensors",
        "--epochs", 1, "--device", "cpu", "--force",
    )  # fmt: skip
    assert again.code == 0, "the lock of an interrupted command must not stay"
