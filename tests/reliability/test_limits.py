"""A process may start no further threads, or have no further memory: said in one line, to be tried again."""

import os
import resource
import shutil
from pathlib import Path

import pytest

from tests.conftest import train_divided_folder
from tests.reliability.processes import PROGRAM, ended, names, started

SCORE = ("score", "--images", "in/images", "--checkpoint", "m.safetensors", "--out", "s.csv", "--device", "cpu", "-q")
SIMULATE = (
    "simulate", "--images", "in/images", "--labels", "in/pool.csv", "--test", "in/test.csv", "--out", "sim",
    "--initial", 6, "--budget", 10, "--jobs", 2, "--device", "cpu", "-q",
)  # fmt: skip

# Root is asked about no such limit, so it becomes somebody else, who may read and write what is root's.
AS_ANOTHER = (
    "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
    "--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override",
    "--securebits=+no_setuid_fixup",
)  # fmt: skip
WITHOUT_THREADS = (*(AS_ANOTHER if os.geteuid() == 0 else ()), "prlimit", "--nproc=1", *PROGRAM)


@pytest.fixture
def house(in_tmp: Path) -> Path:
    return train_divided_folder(in_tmp)


@pytest.mark.skipif(not all(map(shutil.which, ("setpriv", "prlimit"))), reason="needs setpriv and prlimit")
@pytest.mark.parametrize("command", [SCORE, (*SCORE, "--workers", 0), SIMULATE], ids=["threads", "arrow", "processes"])
def test_no_further_threads_or_processes_mean_try_again(house: Path, command: tuple[object, ...]) -> None:
    before = names(house)
    with started(*command, program=WITHOUT_THREADS) as process:
        done = ended(process)
    assert done.code == 75, done.stderr
    assert "Traceback" not in done.stderr
    said = done.stderr.splitlines()[-1]  # libraries may have had their word before
    assert said.startswith(f"dfal {command[0]}: Resource temporarily unavailable; run the same command again when")
    assert "fewer --workers or --jobs" in said
    assert not (names(house) - before) & {"s.csv", "sim/results.csv"}


def test_too_little_memory_to_load_the_libraries_means_try_again(house: Path) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (800_000_000, 800_000_000))

    before = names(house)
    with started(*SCORE, preexec_fn=limited) as process:
        done = ended(process)
    assert done.code == 75, done.stderr
    assert done.stderr.startswith("dfal score: Cannot allocate memory; run the same command again when more memory")
    assert len(done.stderr.splitlines()) == 1
    assert names(house) == before
