"""Several commands fill a cache at the same time, or are killed while filling it."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfal_cli.system.locks import release, take
from tests.images.cached_reading import names, read, segments, size_of_cache

FILLING = """
import sys
from pathlib import Path
from dfal_cli.system.reporting import Silent
from dfal_cli.images import InputFormat, cached, in_batches, list_images, read_batches, read_from_disk
root = Path("images")
with cached(Path("cache"), "100kB", read_from_disk, Silent()) as reader:
    for _ in range(int(sys.argv[1])):
        for side in range(24, 40):
            batches = in_batches(list_images(root).images, 5)
            for batch in read_batches(root, batches, InputFormat((1, side, side)), 8, reader):
                assert len(batch.images) == 5
            print(side, flush=True)
"""


@pytest.fixture
def fillers() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that are ended with the test."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def start_filling(fillers: list[subprocess.Popen[str]], times: int) -> subprocess.Popen[str]:
    fillers.append(
        subprocess.Popen(
            [sys.executable, "-c", FILLING, str(times)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    )
    return fillers[-1]


def test_two_commands_can_fill_a_cache_at_the_same_time(house: Path, fillers: list[subprocess.Popen[str]]) -> None:
    start_filling(fillers, 2)
    start_filling(fillers, 2)
    for process in fillers:
        _, stderr = process.communicate(timeout=120)
        assert (process.returncode, stderr) == (0, "")
    assert 80_000 < size_of_cache() <= 100_000 + 20_000  # one segment more, if both publish at the same moment
    assert len(read(shape=(1, 24, 24))) < 20, "whole segments of what both began with are there"
    assert read(shape=(1, 24, 24)) == []
    assert {path.suffix for path in Path("cache").glob("*/*")} == {".pixels"}


@pytest.mark.parametrize("moment", range(4))
def test_a_command_killed_at_any_moment_leaves_a_usable_cache(
    house: Path, fillers: list[subprocess.Popen[str]], moment: int
) -> None:
    process = start_filling(fillers, 1000)
    assert process.stdout is not None
    for _ in range(moment + 1):
        process.stdout.readline()
    time.sleep(0.001 * moment)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = len(names()) - len(read(shape=(1, 24, 24)))
    assert kept > 0, "what was published before is there"
    assert read(shape=(1, 24, 24)) == []


def test_temporary_files_of_killed_commands_are_removed_and_those_of_running_ones_are_not(house: Path) -> None:
    read()
    (segment,) = segments()
    leftover, held = (segment.with_name(f".{name}.pixels.1234.tmp") for name in ("left", "held"))
    leftover.write_bytes(b"half")
    descriptor = take(held)
    read()
    assert [path.name for path in segment.parent.glob(".*")] == [held.name]
    release(descriptor, held)
