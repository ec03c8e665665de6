"""What training starts from: new weights, or those that the user named."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from dfal_cli.checkpoint import LoadedNetwork
from dfal_cli.errors import listed
from dfal_cli.images import Shape
from dfal_cli.models import Network, build_network, load_matching_weights, seeded
from dfal_cli.models.weights import best_matching_state, read_pretrained, read_weights
from dfal_cli.system.reporting import Reporter


class InitialWeights(NamedTuple):
    """Weights to start from."""

    state: dict[str, Tensor]
    source: str
    how: str = ""
    """What had to be taken away to find them; mostly "". """


def prepare_networks(
    new: Callable[[int], Network],
    origin: Callable[[Network], InitialWeights | None],
    first_seed: int,
    reporter: Reporter,
) -> Callable[[int], Network]:
    """Make the first network now, and see that the weights to start from fit it: before the work, not after it.

    new: a network of random weights, from a seed; origin: where the weights of such a one are to come from instead.
    Returns a function from seeds to networks, which has the first one ready.
    Raises UsageError or DataError if the network cannot be built, or weights cannot be read or do not fit.
    """
    ready = {first_seed: new(first_seed)}
    weights = origin(ready[first_seed])
    if weights is not None:
        _say(weights, load_matching_weights(ready[first_seed], weights.state, weights.source), reporter)

    def start(seed: int) -> Network:
        if seed in ready:
            return ready.pop(seed)
        network = new(seed)
        if weights is not None:
            load_matching_weights(network, weights.state, weights.source)
        return network

    return start


def new_network(arch: str, num_classes: int, shape: Shape, seed: int) -> Network:
    """A network with random weights, as in the paper."""
    with seeded(seed, torch.device("cpu")):
        return build_network(arch, num_classes, shape)


def weights_of_checkpoint(before: LoadedNetwork, path: Path, classes: tuple[str, ...]) -> InitialWeights:
    """The weights of a checkpoint; its head's mean its classes, and are taken only if these are the same."""
    state = before.model.body.state_dict()
    if before.classes == classes:
        return InitialWeights(state, str(path))
    arch, shape = before.metadata["architecture"]["name"], before.input_shape
    wider, own = (new_network(arch, count, shape, 0).body.state_dict() for count in (len(classes) + 1, len(classes)))
    headless = {name: value for name, value in state.items() if name in own and own[name].shape == wider[name].shape}
    return InitialWeights(headless, str(path))


def weights_from_options(network: Network, arch: str, weights: Path | None, pretrained: bool) -> InitialWeights | None:
    """The weights in a file, read as fits the network best, or torchvision's; None if neither is asked for."""
    if weights:
        reading = best_matching_state(network, read_weights(weights))
        return InitialWeights(reading.state, str(weights), str(reading))
    return InitialWeights(read_pretrained(arch), f"the pretrained {arch}") if pretrained else None


def _say(origin: InitialWeights, fresh: list[str], reporter: Reporter) -> None:
    """Say what does not go without saying."""
    if origin.how:
        reporter.note(f"{origin.source}: taken are {origin.how}")
    if fresh:
        reporter.note(f"{origin.source}: all weights taken but {listed(fresh)}, which start anew")
