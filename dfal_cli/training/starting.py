"""Initial weights of a training: random, or from a checkpoint, a file or torchvision."""

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
    """A state dict to start from."""

    state: dict[str, Tensor]
    source: str
    """Where the weights come from, for messages."""
    reading: str = ""
    """Which part of a file was read, and which prefixes were removed from the names; "" for the whole file."""


def prepare_networks(
    new: Callable[[int], Network],
    weights_for: Callable[[Network], InitialWeights | None],
    first_seed: int,
    reporter: Reporter,
) -> Callable[[int], Network]:
    """Return a function from seeds to initial networks. The first network is built now, before any other work.

    new: makes a network with random weights from a seed. weights_for: weights to load into it, if any.
    Raises UsageError or DataError if the network cannot be built, or if the weights cannot be read or do not match it.
    """
    built = {first_seed: new(first_seed)}
    weights = weights_for(built[first_seed])
    if weights is not None:
        _report(weights, load_matching_weights(built[first_seed], weights.state, weights.source), reporter)

    def start(seed: int) -> Network:
        if seed in built:
            return built.pop(seed)
        network = new(seed)
        if weights is not None:
            load_matching_weights(network, weights.state, weights.source)
        return network

    return start


def new_network(arch: str, num_classes: int, shape: Shape, seed: int) -> Network:
    """Return a network with random weights, as in the paper."""
    with seeded(seed, torch.device("cpu")):
        return build_network(arch, num_classes, shape)


def weights_of_checkpoint(checkpoint: LoadedNetwork, path: Path, classes: tuple[str, ...]) -> InitialWeights:
    """Return the weights of a checkpoint; without the head, unless the checkpoint has the same classes."""
    state = checkpoint.model.body.state_dict()
    if checkpoint.classes == classes:
        return InitialWeights(state, str(path))
    arch, shape = checkpoint.metadata["architecture"]["name"], checkpoint.input_shape
    # The head consists of the tensors whose shape depends on the number of classes.
    wider, own = (new_network(arch, count, shape, 0).body.state_dict() for count in (len(classes) + 1, len(classes)))
    headless = {name: value for name, value in state.items() if name in own and own[name].shape == wider[name].shape}
    return InitialWeights(headless, str(path))


def weights_from_options(network: Network, arch: str, weights: Path | None, pretrained: bool) -> InitialWeights | None:
    """Return the weights of the --weights file, or torchvision's with --pretrained; None without either."""
    if weights:
        match = best_matching_state(network, read_weights(weights))
        return InitialWeights(match.state, str(weights), str(match))
    return InitialWeights(read_pretrained(arch), f"the pretrained {arch}") if pretrained else None


def _report(weights: InitialWeights, not_loaded: list[str], reporter: Reporter) -> None:
    if weights.reading:
        reporter.note(f"{weights.source}: using {weights.reading}")
    if not_loaded:
        reporter.note(
            f"{weights.source}: all weights loaded except {listed(not_loaded)}, which are initialised randomly"
        )
