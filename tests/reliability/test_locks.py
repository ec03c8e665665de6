"""Locks: of two commands that would write one file the second says who holds it, or waits; killed ones block nobody."""

import platform
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfal_cli.errors import TryAgainError
from dfal_cli.system.files import atomic_output, locked, remove_leftovers
from tests.conftest import dfal, train_divided_folder, write
from tests.reliability.processes import ended, names, started

HOLDER = """
import sys, time
from pathlib import Path
from dfal_cli.system.files import locked

with locked(Path(sys.argv[1]), folder=sys.argv[1].endswith("twins")):
    print("held", flush=True)
    sys.stdin.read()  # until it is closed, or this process killed
"""

OUTPUTS = {
    "train": (("train", "--labels", "in/pool.csv", "--out", "out/m.safetensors", "--epochs", 1), "out/m.safetensors"),
    "score": (("score", "--checkpoint", "m.safetensors", "--out", "out/s.parquet"), "out/s.parquet"),
    "twins": (
        ("score", "--checkpoint", "m.safetensors", "--out", "s.parquet", "--twins", 2, "--twins-dir", "out/twins"),
        "out/twins",
    ),
    "predict": (("predict", "--checkpoint", "m.safetensors", "--out", "out/p.csv"), "out/p.csv"),
    "select": (("select", "--strategy", "random", "--count", 2, "--out", "out/q.csv"), "out/q.csv"),
    "preview": (
        ("select", "--strategy", "random", "--count", 2, "--out", "q.csv", "--preview", "out/q.html"), "out/q.html",
    ),
    "merge": (("merge", "--queries", "in/pool.csv", "--labels", "out/labels.csv"), "out/labels.csv"),
    "merge to another file": (
        ("merge", "--queries", "in/pool.csv", "--labels", "in/test.csv", "--out", "out/l.csv"), "out/l.csv",
    ),
    "status": (("status", "--labels", "in/pool.csv", "--page", "out/status.html"), "out/status.html"),
    "simulate": (
        ("simulate", "--labels", "in/pool.csv", "--test", "in/test.csv", "--out", "out", "--initial", 4, "--budget", 5),
        "out/results.csv",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """in/ and m.safetensors."""
    return train_divided_folder(tmp_path_factory.mktemp("locks"))


@pytest.fixture
def holder(house: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["type[Holder]"]:
    """Processes that hold locks, in the house."""
    monkeypatch.chdir(house)
    yield Holder
    for process in Holder.all:
        process.kill()
        process.communicate()
    Holder.all.clear()


class Holder:
    """A process that holds the lock of a file until it is told to end, or killed."""

    all: list["subprocess.Popen[str]"] = []  # noqa: RUF012

    def __init__(self, path: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        Holder.all.append(self.process)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"


def arguments(name: str, *further: object) -> tuple[object, ...]:
    command, _ = OUTPUTS[name]
    images = () if command[0] == "merge" else ("--images", "in/images")
    device = ("--device", "cpu") if command[0] in ("train", "score", "simulate") else ()
    return (*command, *images, *device, *further)


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_second_command_is_told_who_is_writing_the_file(holder: type[Holder], name: str) -> None:
    path = OUTPUTS[name][1]
    process = holder(path).process
    before = names(Path.cwd())
    done = dfal(*arguments(name), "--quiet")
    assert (done.code, done.stdout) == (75, "")
    who = rf"process {process.pid} on {re.escape(platform.node())}, since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d"
    assert re.search(rf"{re.escape(path)}: is being written by {who}; .* --wait SECONDS\n$", done.stderr)
    assert names(Path.cwd()) == before


def test_a_command_that_waits_says_for_whom_and_does_its_work(holder: type[Holder]) -> None:
    process = holder("out/waited.csv").process
    command = ("merge", "--queries", "in/pool.csv", "--labels", "out/waited.csv", "--wait", 60)
    with started(*command) as waiting:
        assert waiting.stderr is not None
        said = waiting.stderr.readline()
        assert f"is being written by process {process.pid} on " in said
        assert said.endswith("; waiting up to 60 s\n")
        assert not Path("out/waited.csv").exists()
        process.communicate("")
        assert ended(waiting).code == 0
    assert Path("out/waited.csv").exists()
    assert ".waited.csv.lock" not in names(Path("out"))


def test_answers_given_while_merge_waits_are_merged(holder: type[Holder]) -> None:
    process = holder("out/answered.csv").process
    queries = write(Path("answered.csv"), "image,label", "000.png,")
    with started("merge", "--queries", queries, "--labels", "out/answered.csv", "--wait", 60) as waiting:
        assert waiting.stderr is not None
        waiting.stderr.readline()
        write(queries, "image,label", "000.png,dark")
        process.communicate("")
        assert ended(waiting).code == 0
    assert "000.png,dark" in Path("out/answered.csv").read_text()


def test_who_waits_makes_the_folder_again_that_the_holder_removed(holder: type[Holder]) -> None:
    process = holder("new/waited.csv").process
    with started("merge", "--queries", "in/pool.csv", "--labels", "new/waited.csv", "--wait", 60) as waiting:
        assert waiting.stderr is not None
        waiting.stderr.readline()
        process.communicate("")
        assert ended(waiting).code == 0
    assert names(Path("new")) == {"waited.csv"}


def test_waiting_in_vain_means_try_again(holder: type[Holder]) -> None:
    holder("out/vain.csv")
    done = dfal("merge", "--queries", "in/pool.csv", "--labels", "out/vain.csv", "--wait", 0.3)
    assert done.code == 75
    assert "waiting up to 0.3 s" in done.stderr


def test_a_command_that_waits_can_be_stopped(holder: type[Holder]) -> None:
    holder("out/stopped.csv")
    with started("merge", "--queries", "in/pool.csv", "--labels", "out/stopped.csv", "--wait", 600) as waiting:
        assert waiting.stderr is not None
        waiting.stderr.readline()
        waiting.send_signal(signal.SIGTERM)
        done = ended(waiting)
    assert done.code == 143
    assert done.stderr == "dfal merge: interrupted; all files are intact, run the same command again\n"


def test_a_holder_that_was_killed_blocks_nobody_and_its_lock_file_goes(holder: type[Holder]) -> None:
    process = holder("out/killed.csv").process
    process.kill()
    process.wait()
    assert dfal("merge", "--queries", "in/pool.csv", "--labels", "out/killed.csv").code == 0
    assert not [name for name in names(Path("out")) if "killed.csv." in name]


def test_readers_are_not_blocked(holder: type[Holder]) -> None:
    write(Path("out/read.csv"), "image,label", "000.png,dark", "001.png,light")
    holder("out/read.csv")
    dry = dfal("merge", "--queries", "in/pool.csv", "--labels", "out/read.csv", "--dry-run")
    assert dry.code == 0, dry.stderr
    read = dfal(*arguments("preview", "--labels", "out/read.csv"))
    assert read.code == 0, read.stderr


COUNTER = """
import sys
from pathlib import Path
from dfal_cli.system.files import atomic_output, locked

counter = Path(sys.argv[1])
for _ in range(int(sys.argv[2])):
    with locked(counter, wait=300):
        count = int(counter.read_text()) if counter.exists() else 0
        with atomic_output(counter) as temporary:
            temporary.write_text(str(count + 1))
"""


def test_of_many_that_read_and_write_one_file_in_turn_nobody_loses_a_turn(tmp_path: Path) -> None:
    counters = [
        subprocess.Popen([sys.executable, "-c", COUNTER, tmp_path / "count", "40"], stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    assert [counter.communicate()[1] for counter in counters] == [b""] * 4
    assert (tmp_path / "count").read_text() == "160"
    assert names(tmp_path) == {"count"}, "and the lock file goes with the last"


def test_a_temporary_file_of_a_running_command_is_not_taken_for_a_leftover(tmp_path: Path) -> None:
    killed = write(tmp_path / ".[a]*?.csv.unreadable.csv.1.tmp", "half")
    with atomic_output(tmp_path / "[a]*?.csv.unreadable.csv") as running:
        running.write_text("whole")
        with locked(tmp_path / "[a]*?.csv"):
            assert not killed.exists()
            assert running.exists()
        remove_leftovers(tmp_path, lambda name: True)
    assert names(tmp_path) == {"[a]*?.csv.unreadable.csv"}


def test_the_same_process_does_not_write_a_file_twice_at_a_time(tmp_path: Path) -> None:
    with atomic_output(tmp_path / "a.csv") as first, pytest.raises(TryAgainError), atomic_output(tmp_path / "a.csv"):
        pytest.fail(f"both would write {first}")
