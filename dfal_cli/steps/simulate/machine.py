"""What plays a simulation: processes, and the device on which they compute.

torch takes seconds to import: that is left to the processes. The first one checks the networks, which must be done
before anything is written; the others import while images are decoded.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dfal_cli.images import Shape
from dfal_cli.schemas import LABEL
from dfal_cli.steps.simulate.inputs import Inputs
from dfal_cli.steps.simulate.options import SimulateOptions
from dfal_cli.steps.simulate.simulation import Played, Simulation, Turn
from dfal_cli.system.processes import Processes, computes_in_one_thread, cores

PLAYING = "dfal_cli.steps.simulate.rounds"
"""The module that a process begins with."""


class Machine(NamedTuple):
    """Where rounds are played: in processes, or in this one where one thread of one process is all that is wanted."""

    processes: Processes
    kind: str
    """Of device: cpu or cuda."""
    device: str
    """Its name."""
    jobs: int
    """So many runs may be played side by side."""

    def start(self, left: int) -> None:
        """Have as many processes as `left` runs can use."""
        count = min(self.jobs, left)
        _start(self.processes, count, of=count)

    def check_networks(self, options: SimulateOptions, inputs: Inputs, shape: Shape) -> None:
        """Raises UsageError if the networks cannot be trained and asked as wanted. shape: (C, H, W) of their input."""
        classes = inputs.oracle[LABEL].nunique()
        self.processes.call(functools.partial(_check_networks, options, inputs.strategies, classes, shape))

    def play(self, simulation: Simulation, turns: list[Turn]) -> Iterator[Played]:
        """The rounds whose turn it is, and those whose turn it has become meanwhile, as they end."""
        return self.processes.each(functools.partial(_play_turn, simulation), turns)


def begun(processes: Processes, options: SimulateOptions, left: int) -> Machine:
    """Start the first process, if there are runs left. Raises UsageError if the device is not there."""
    _start(processes, min(1, left), of=min(options.jobs or cores(), left))
    kind = device = options.device
    if kind != "cpu":
        kind, device = processes.call(functools.partial(_device_named, device))
    return Machine(processes, kind, device, options.jobs or (1 if kind == "cuda" else cores()))


def _start(processes: Processes, count: int, of: int) -> None:
    """Have `count` of the `of` processes that there will be; none if this one will do."""
    if of > 1 or not computes_in_one_thread():
        processes.start(count)


def _device_named(option: str) -> tuple[str, str]:
    """Its kind and its name."""
    import torch

    from dfal_cli.system.device import choose_device

    device = choose_device(option)
    return device.type, torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _check_networks(options: SimulateOptions, strategies: Sequence[str], classes: int, shape: Shape) -> None:
    from dfal_cli.steps.simulate.networks import check_networks

    check_networks(options, strategies, classes, shape)


def _play_turn(simulation: Simulation, turn: Turn) -> Iterator[Played]:
    from dfal_cli.steps.simulate.rounds import play

    yield from play(simulation, turn)
