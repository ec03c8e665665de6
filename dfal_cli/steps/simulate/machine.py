"""The processes that play the rounds of a simulation, and the device they compute on.

Importing torch takes seconds, so it is left to the processes. The first process checks the networks, before anything is
written; the others import torch while images are decoded.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from dfal_cli.errors import UsageError
from dfal_cli.images import Shape
from dfal_cli.schemas import LABEL
from dfal_cli.steps.simulate.inputs import Inputs
from dfal_cli.steps.simulate.options import SimulateOptions
from dfal_cli.steps.simulate.runs import RoundResult, RoundTask, Simulation
from dfal_cli.system.processes import Processes, computes_in_one_thread, cores

PRELOADED = "dfal_cli.steps.simulate.rounds"
"""The module that each process imports first."""


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

    def check_networks(self, options: SimulateOptions, inputs: Inputs, shape: Shape) -> None:
        """Raise UsageError if the networks cannot be trained and scored as the options say.

        shape: (C, H, W) of their input.
        """
        classes = inputs.oracle[LABEL].nunique()
        self.processes.call(functools.partial(_check_networks, options, inputs.strategies, classes, shape))

    def play(self, simulation: Simulation, tasks: list[RoundTask]) -> Iterator[RoundResult]:
        """Yield the results of the tasks as they finish; tasks may be added meanwhile."""
        return self.processes.each(functools.partial(_play, simulation), tasks)


def start_machine(processes: Processes, options: SimulateOptions, unfinished: int) -> Machine:
    """Start the first process, if any run is unfinished. Raises UsageError if the device does not exist."""
    _start(processes, min(1, unfinished), of=min(options.jobs or cores(), unfinished))
    kind = device = options.device
    if kind != "cpu":
        kind, device = processes.call(functools.partial(_choose_device, device))
    return Machine(processes, kind, device, options.jobs or (1 if kind == "cuda" else cores()))


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


def _check_networks(options: SimulateOptions, strategies: Sequence[str], classes: int, shape: Shape) -> None:
    """Check early what only training and scoring would find. Raises UsageError that names the option."""
    import torch

    from dfal_cli.models import build_network, seeded
    from dfal_cli.steps.score.checks import check_margin
    from dfal_cli.steps.train.checks import check_training
    from dfal_cli.training.architecture import default_architecture

    check_training(options.augment, options.monitor, options.lr)
    check_margin(options.norm, options.estimator, options.classes)
    arch = options.arch or default_architecture(shape)
    with seeded(0, torch.device("cpu")):
        network = build_network(arch, classes, shape)
        if options.train_arch:
            build_network(options.train_arch, classes, shape, "--train-arch")
    for strategy in strategies:
        _check_measures(strategy, network, arch)


def _check_measures(strategy: str, network: Any, arch: str) -> None:
    from dfal_cli.measures import MEASURES, Settings
    from dfal_cli.strategies import STRATEGIES

    for name in STRATEGIES[strategy].needs:
        try:
            MEASURES[name].prepare(network, Settings(arch, passes=1, seed=0, warn=lambda text: None))
        except UsageError as error:
            raise UsageError(str(error).replace(f"--measure {name}", f"--strategies {strategy}", 1)) from None


def _play(simulation: Simulation, task: RoundTask) -> Iterator[RoundResult]:
    from dfal_cli.steps.simulate.rounds import play

    yield from play(simulation, task)
