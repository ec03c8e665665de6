"""simulate on several GPUs: the processes take turns in using them. What each is told shows it without any GPU."""

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfal_cli.errors import UsageError
from dfal_cli.steps.simulate.machine import Devices, Machine, _choose_devices, start_machine
from dfal_cli.steps.simulate.options import Plan, SimulateOptions
from dfal_cli.steps.simulate.runs import RoundTask, Simulation
from dfal_cli.system.processes import Processes, cores

A100S_AND_A_T4 = ("A100", "T4", "A100", "A100")


def play(simulation: Simulation[None], task: RoundTask) -> Iterator[tuple[str, int, str]]:
    """Stand in for a round: yield what the process knows."""
    yield task.name, os.getpid(), simulation.options.device


def simulation_of(folder: Path, device: str = "auto") -> Simulation[None]:
    """A simulation whose rounds are played by the function above."""
    options = SimulateOptions(images=folder, test=[], out=folder, device=device)
    return Simulation(options, Plan(2, 2, 4, 1), {"a": "x"}, None, folder, __name__, whole_runs=False)


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Pretend that torch finds four GPUs; return the numbers that are made the current one."""
    import torch  # not by the processes that import this module

    chosen: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(A100S_AND_A_T4))
    monkeypatch.setattr(
        torch.cuda, "get_device_name",
        lambda device: A100S_AND_A_T4[device if isinstance(device, int) else device.index or 0],
    )  # fmt: skip
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: chosen.append(device.index))
    return chosen


def test_each_process_keeps_to_one_of_the_gpus_and_they_take_turns(tmp_path: Path) -> None:
    devices = Devices(["cuda:0", "cuda:1"], "A100")
    tasks = [RoundTask(1, 0, number, f"run {number}") for number in range(12)]
    with Processes() as processes:
        processes.start(3)
        told = list(Machine(processes, devices, 3).play(simulation_of(tmp_path), tasks))
    assert sorted(name for name, _, _ in told) == sorted(f"run {number}" for number in range(12))
    used = defaultdict(set)
    for _, process, device in told:
        used[process].add(device)
    assert all(len(each) == 1 for each in used.values())
    if len(used) == 3:  # a slow start may leave one without a task
        assert sorted(device for each in used.values() for device in each) == ["cuda:0", "cuda:0", "cuda:1"]


@pytest.mark.parametrize("option", ["auto", "cuda"])
def test_all_gpus_of_the_model_of_the_first_one_are_used(gpus: list[int], option: str) -> None:
    devices = _choose_devices(option)
    assert devices.names == ["cuda:0", "cuda:2", "cuda:3"]
    assert (devices.kind, str(devices)) == ("cuda", "3 x A100")


def test_a_gpu_that_is_named_is_used_alone(gpus: list[int]) -> None:
    devices = _choose_devices("cuda:1")
    assert (devices.names, devices.kind, str(devices), gpus) == (["cuda:1"], "cuda", "T4", [1])
    with pytest.raises(UsageError, match="has 4 CUDA devices"):
        _choose_devices("cuda:4")


class PretendedProcesses(Processes):
    """Processes whose first one says which devices there are."""

    def start(self, count: int) -> None:
        """Start none."""

    def call(self, function: object) -> Devices:
        """Answer for the first process."""
        return Devices([f"cuda:{number}" for number in range(4)], "A100")


@pytest.mark.parametrize(("device", "jobs", "expected"), [("auto", None, 4), ("auto", 8, 8), ("cpu", None, cores())])
def test_there_are_as_many_jobs_as_gpus_or_cores_by_default(device: str, jobs: int | None, expected: int) -> None:
    assert start_machine(PretendedProcesses(), device, jobs, unfinished=9).jobs == expected
