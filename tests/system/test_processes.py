"""Processes side by side: how many there are when nobody says, and what they are given to do."""

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfal_cli.errors import TryAgainError
from dfal_cli.system.processes import READY, TASK, WORK, Processes, _start, cores

ON_ONE_CORE = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from dfal_cli.system.processes import cores
print(cores())
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot tie a process to a core")
def test_a_process_pinned_to_a_core_counts_only_that_core() -> None:
    told = subprocess.run([sys.executable, "-c", ON_ONE_CORE], capture_output=True, text=True, check=True)
    assert told.stdout == "1\n"
    assert 1 <= cores() <= (os.cpu_count() or 1)


def halved(number: int) -> Iterator[int]:
    yield number // 2


@pytest.mark.parametrize("jobs", [1, 2, 9])
def test_tasks_added_while_results_arrive_are_done_too(jobs: int) -> None:
    tasks, found = [8, 5], []
    with Processes() as processes:
        processes.start(jobs)
        for half in processes.each([halved], tasks):
            found.append(half)
            if half:
                tasks.append(half)
    assert sorted(found) == [0, 0, 1, 1, 2, 2, 4]
    assert not tasks


def waiting_or_not(task: tuple[Path, str]) -> Iterator[tuple[str, int]]:
    """`long` says that it has begun when `short` has ended, and ends when `later` has."""
    folder, name = task
    if name == "long":
        _wait_for(folder / "short")
        time.sleep(0.2)  # until that process is idle
        yield "begun", os.getpid()
        _wait_for(folder / "later")
    yield name, os.getpid()
    (folder / name).touch()


def _wait_for(file: Path) -> None:
    until = time.monotonic() + 60
    while not file.exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert file.exists()


def on_two(tasks: list[tuple[Path, str]]) -> Iterator[tuple[str, int]]:
    with Processes() as processes:
        processes.start(2)
        yield from processes.each([waiting_or_not], tasks)


def test_an_idle_process_takes_later_tasks(tmp_path: Path) -> None:
    tasks = [(tmp_path, "long"), (tmp_path, "short")]
    processes: dict[str, int] = {}
    for name, process in on_two(tasks):
        processes[name] = process
        if name == "begun":
            tasks.append((tmp_path, "later"))
    assert list(processes) == ["short", "begun", "later", "long"]
    assert processes["short"] == processes["later"] != processes["long"]


def test_an_idle_process_that_is_killed_is_noticed(tmp_path: Path) -> None:
    processes: dict[str, int] = {}
    with pytest.raises(TryAgainError, match="a process was killed"):
        for name, process in on_two([(tmp_path, "long"), (tmp_path, "short")]):
            processes[name] = process
            if name == "begun":
                os.kill(processes["short"], signal.SIGKILL)
    assert "long" not in processes


def test_a_process_killed_between_two_calls_is_noticed() -> None:
    with Processes() as processes:
        processes.start(2)
        killed = processes.call(os.getpid)
        os.kill(killed, signal.SIGKILL)
        with pytest.raises(TryAgainError, match="a process was killed"):
            list(processes.each([halved], [2] * 9))


def test_processes_are_reused_for_further_calls() -> None:
    with Processes() as processes:
        processes.start(2)
        first = processes.call(os.getpid)
        assert sorted(processes.each([halved], [2, 4, 6])) == [1, 2, 3]
        assert first != os.getpid()
        assert sorted(processes.each([halved], [8])) == [4]


def test_processes_preload_the_given_module() -> None:
    with Processes(preload="colorsys") as processes:
        processes.start(2)
        assert processes.call(functools.partial(has_imported, "colorsys"))
        assert not processes.call(functools.partial(has_imported, "wave"))


def has_imported(name: str) -> bool:
    return name in sys.modules


@pytest.mark.parametrize("has_task", [True, False])
def test_a_process_whose_parent_is_gone_ends_without_a_word(has_task: bool, capfd: pytest.CaptureFixture[str]) -> None:
    connection, process = _start("")
    assert connection.recv() == (READY, None)
    if has_task:
        connection.send((WORK, halved_after_a_while))
        connection.send((TASK, 8))
    connection.close()  # as it is closed when the parent is killed, before the process learns of it
    process.join(20)
    assert process.exitcode == 1
    assert capfd.readouterr() == ("", "")


def halved_after_a_while(number: int) -> Iterator[int]:
    time.sleep(0.2)  # until the connection is closed
    yield number // 2
