"""A simulation as a process that is stopped somewhere: its finished rounds, its exit code and its own processes."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


def children_of(process: int) -> list[int]:
    """The processes that it has started."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True, check=False)
    return [int(number) for number in listed.stdout.split()]


def is_alive(process: int) -> bool:
    """A process that has ended but that nobody has asked after is not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def rounds_in(out: Path) -> int:
    """Finished rounds, those of finished runs included, whose folders may still be there."""
    folders = [path.parts[-3] for path in out.glob(".rounds/*/*/done.json")]
    finished = {path.name.removesuffix(".rows.json"): path for path in out.glob(".rounds/*.rows.json")}
    of_finished_runs = sum(len(json.loads(path.read_text())) for path in finished.values())
    return of_finished_runs + sum(run not in finished for run in folders)


def stop_when(come: Callable[[], bool], number: signal.Signals, *command: object) -> tuple[int, str, list[int]]:
    """Start a simulation, send it a signal when it has come there; its exit code, its words and its processes."""
    process = subprocess.Popen(
        [sys.executable, "-m", "dfal_cli", *map(str, command)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not come() and time.monotonic() < deadline:
            time.sleep(0.02)
        children = children_of(process.pid)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, stderr, children
