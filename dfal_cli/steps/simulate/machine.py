"""The processes that play the rounds of a simulation, and the device they compute on.

Importing torch takes seconds, so it is left to the processes. The first process checks the networks, before anything is
written; the others import torch while images are decoded.
"""

import functools
import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from dfal_cli.steps.simulate.runs import RoundResult, RoundTask, Simulation
from dfal_cli.system.processes import Processes, computes_in_one_thread, cores


class Devices(NamedTuple):
    """What the rounds are computed on: the processor, or GPUs of one model."""

    names: Sequence[str]
    """As in --device."""
    model: str
    """Name of the model of the GPUs; cpu."""

    @property
    def kind(self) -> str:
        """Kind of the devices: cpu or cuda."""
        return self.names[0].partition(":")[0]

    def __str__(self) -> str:
        """Return the model, and how many there are of it."""
        return self.model if len(self.names) == 1 else f"{len(self.names)} x {self.model}"


class Machine(NamedTuple):
    """Plays rounds in parallel processes, or in this process if one process with one thread is enough."""

    processes: Processes
    devices: Devices
    """The processes take turns in using them."""
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
        works = [functools.partial(_play, _on(device, simulation)) for device in self.devices.names]
        return self.processes.each(works, tasks)


def start_machine(processes: Processes, device: str, jobs: int | None, unfinished: int) -> Machine:
    """Start the first process, if any run is unfinished. Raises UsageError if the device does not exist.

    device, jobs: the options.
    """
    _start(processes, min(1, unfinished), of=min(jobs or cores(), unfinished))
    devices = Devices([device], device)
    if device != "cpu":
        devices = processes.call(functools.partial(_choose_devices, device))
    return Machine(processes, devices, jobs or (cores() if devices.kind == "cpu" else len(devices.names)))


def _start(processes: Processes, count: int, of: int) -> None:
    """Start `count` of a total of `of` processes; none if this process can replace a single one."""
    if of > 1 or not computes_in_one_thread():
        processes.start(count)


def _choose_devices(option: str) -> Devices:
    """The devices of the --device option: all GPUs of the model of the first one, unless it names a single device.

    A slower model would hold up the others, and rounds differently.
    """
    import torch

    from dfal_cli.system.device import choose_device

    chosen = choose_device(option)
    if chosen.type == "cpu":
        return Devices(["cpu"], "cpu")
    model = torch.cuda.get_device_name(chosen)
    if option not in ("auto", "cuda"):
        return Devices([option], model)
    same = [index for index in range(torch.cuda.device_count()) if torch.cuda.get_device_name(index) == model]
    return Devices([f"cuda:{index}" for index in same], model)


def _on(device: str, simulation: Simulation[Any]) -> Simulation[Any]:
    return replace(simulation, options=replace(simulation.options, device=device))


def _play(simulation: Simulation[Any], task: RoundTask) -> Iterator[RoundResult]:
    yield from importlib.import_module(simulation.module).play(simulation, task)
