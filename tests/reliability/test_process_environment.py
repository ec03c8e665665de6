"""What a process is given: few open files, streams that are closed or full, no home. Its output stands all the same."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reliability.processes import PROGRAM, ended, names, started
from tests.reliability.test_disk import COMMANDS, house, made

__all__ = ["house", "made"]


@pytest.mark.slow
def test_too_many_open_files_are_no_fault_of_the_images(house: Path) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12))

    with started(*COMMANDS["score"], "--workers", 8, preexec_fn=limited, program=HOLDING) as process:
        done = ended(process)
    assert done.code == 75, done.stderr
    assert "Too many open files" in done.stderr
    assert "Traceback" not in done.stderr
    assert not Path("small").exists() or names(Path("small")) == set()


HOLDING = (sys.executable, "-c", """
import os
from dfal_cli.cli import main
import dfal_cli.steps.score.pixels as step

drawn = step.find_pool
def find_pool(*arguments):
    pool = drawn(*arguments)
    try:
        while True:
            os.dup(0)  # until there are no more
    except OSError:
        return pool

step.find_pool = find_pool
main()
""")  # fmt: skip


def shell(command: str, **settings: object) -> tuple[int, str]:
    """Run `dfal select` (or what comes after it) as a shell does; its exit code and what is on stderr."""
    line = " ".join(map(str, (*PROGRAM, *COMMANDS["select"]))) + command
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, **settings)
    return done.returncode, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("streams", "code", "words"),
    [
        (" | head -0; exit ${PIPESTATUS[0]}", 0, "5 queries"),
        (" > /dev/full", 75, "dfal select: stdout: No space left on device"),
        (" >&-", 0, "5 queries"),
        (" 2>&-", 0, ""),
        (" 2>/dev/full", 0, ""),
        (" <&- >&- 2>&-", 0, ""),
    ],
)
def test_whatever_becomes_of_the_streams_the_output_stands(house: Path, streams: str, code: int, words: str) -> None:
    found, stderr = shell(streams)
    assert (found, words in stderr) == (code, True), stderr
    assert "Traceback" not in stderr
    assert len(stderr.splitlines()) <= 2
    assert len(Path("small/q.csv").read_text().splitlines()) == 6
    assert names(Path("small")) == {"q.csv", "q.csv.meta.json"}


@pytest.mark.slow
def test_a_simulation_needs_no_home(house: Path) -> None:
    without = {
        name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR")
    }
    with started(*COMMANDS["simulate"], "--strategies", "random", env={**without, "HOME": "/proc"}) as process:
        done = ended(process)
    assert done.code == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert Path("small/sim/curves.png").exists()
