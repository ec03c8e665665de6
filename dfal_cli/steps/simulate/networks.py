"""Whether the networks of a simulation can be trained and asked as wanted, seen to before the rounds begin."""

from collections.abc import Sequence

import torch

from dfal_cli.errors import UsageError
from dfal_cli.images import Shape
from dfal_cli.measures import MEASURES, Settings
from dfal_cli.models import Network, build_network, seeded
from dfal_cli.models.architecture import default_architecture
from dfal_cli.steps.score.checks import check_margin
from dfal_cli.steps.simulate.options import SimulateOptions
from dfal_cli.steps.train.checks import check_training
from dfal_cli.strategies import STRATEGIES


def check_networks(options: SimulateOptions, strategies: Sequence[str], classes: int, shape: Shape) -> None:
    """See to what only training and scoring would find. Raises UsageError naming the option.

    classes: how many; shape: (C, H, W) of the networks' input.
    """
    check_training(options.augment, options.monitor, options.lr)
    check_margin(options.norm, options.estimator, options.classes)
    arch = options.arch or default_architecture(shape)
    with seeded(0, torch.device("cpu")):
        network = build_network(arch, classes, shape)
        if options.train_arch:
            build_network(options.train_arch, classes, shape, "--train-arch")
    for strategy in strategies:
        _check_measures(strategy, network, arch)


def _check_measures(strategy: str, network: Network, arch: str) -> None:
    for name in STRATEGIES[strategy].needs:
        try:
            MEASURES[name].prepare(network, Settings(arch, passes=1, seed=0, warn=lambda text: None))
        except UsageError as error:
            raise UsageError(str(error).replace(f"--measure {name}", f"--strategies {strategy}", 1)) from None
