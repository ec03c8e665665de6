"""What plays a simulation: processes, and the device on which they compute.

torch takes seconds to import: that is left to the processes, while the command reads its tables and decodes images.
"""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

from dfal_cli.images import Shape
from dfal_cli.processes import Processes, cores
from dfal_cli.schemas import LABEL
from dfal_cli.steps.simulate.inputs import Inputs
from dfal_cli.steps.simulate.simulation import Played, SimulateOptions, Simulation, Turn

PLAYING = "dfal_cli.steps.simulate.rounds"
"""The module that a process begins with."""


class Machine(NamedTuple):
    """Processes that have been started."""

    processes: Processes
    kind: str
    """Of device: cpu or cuda."""
    device: str
    """Its name."""
    jobs: int
    """So many runs may be played side by side."""

    def check_networks(self, options: SimulateOptions, inputs: Inputs, shape: Shape) -> None:
        """Raises UsageError if the networks cannot be trained and asked as wanted. shape: (C, H, W) of their input."""
        classes = inputs.oracle[LABEL].nunique()
        self.processes.ask(functools.partial(_check_networks, options, inputs.strategies, classes, shape))

    def play(self, simulation: Simulation, turns: list[Turn]) -> Iterator[Played]:
        """The rounds whose turn it is, and those whose turn it has become meanwhile, as they end."""
        return self.processes.each(functools.partial(_play_turn, simulation), turns)


def started(processes: Processes, options: SimulateOptions, left: int) -> Machine:
    """Start so many that each has a run to play, of those `left`. Raises UsageError if the device is not there."""
    kind = device = options.device
    if kind != "cpu":
        processes.start(min(1, left))
        kind, device = processes.ask(functools.partial(_device_named, device))
    jobs = options.jobs or (1 if kind == "cuda" else cores())
    processes.start(min(jobs, left))
    return Machine(processes, kind, device, jobs)


def _device_named(option: str) -> tuple[str, str]:
    """Its kind and its name."""
    import torch

    from dfal_cli.device import choose_device

    device = choose_device(option)
    return device.type, torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _check_networks(*arguments: Any) -> None:
    from dfal_cli.steps.simulate.networks import check_networks

    check_networks(*arguments)


def _play_turn(simulation: Simulation, turn: Turn) -> Iterator[Played]:
    from dfal_cli.steps.simulate.rounds import play

    yield from play(simulation, turn)
