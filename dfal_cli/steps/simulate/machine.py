"""The processes that play the rounds of a simulation, and the device they compute on.

Importing torch takes seconds, so it is left to the processes. The first process checks the networks, before anything is
written; the others import torch while images are decoded.
"""

import functools
import importlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from dfal_cli.steps.simulate.runs import RoundResult, RoundTask, Simulation
from dfal_cli.system.processes import Processes, computes_in_one_thread, cores


class Machine(NamedTuple):
    """Plays rounds in parallel processes, or in this process if one process with one thread is enough."""

    processes: Processes
    kind: str
    """Kind of the device: cpu or cuda."""
    device: str
    """Name of the device."""
    jobs: int
    """Maximum number of runs in parallel."""

    def start(self, unfinished: int) -> None:
        """Start as many processes as the unfinished runs can use."""
        count = min(self.jobs, unfinished)
        _start(self.processes, count, of=count)

    def call(self, function: Callable[[], Any]) -> Any:
        """Call a function in one of the processes, and return its result or raise its error."""
        return self.processes.call(function)

    def play(self, simulation: Simulation[Any], tasks: list[RoundTask]) -> Iterator[RoundResult]:
        """Yield the results of the tasks as they finish; tasks may be added meanwhile."""
        return self.processes.each(functools.partial(_play, simulation), tasks)


def start_machine(processes: Processes, device: str, jobs: int | None, unfinished: int) -> Machine:
    """Start the first process, if any run is unfinished. Raises UsageError if the device does not exist.

    device, jobs: the options.
    """
    _start(processes, min(1, unfinished), of=min(jobs or cores(), unfinished))
    kind = name = device
    if kind != "cpu":
        kind, name = processes.call(functools.partial(_choose_device, device))
    return Machine(processes, kind, name, jobs or (1 if kind == "cuda" else cores()))


def _start(processes: Processes, count: int, of: int) -> None:
    """Start `count` of a total of `of` processes; none if this process can replace a single one."""
    if of > 1 or not computes_in_one_thread():
        processes.start(count)


def _choose_device(option: str) -> tuple[str, str]:
    """Kind and name of the device."""
    import torch

    from dfal_cli.system.device import choose_device

    device = choose_device(option)
    return device.type, torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _play(simulation: Simulation[Any], task: RoundTask) -> Iterator[RoundResult]:
    yield from importlib.import_module(simulation.module).play(simulation, task)
