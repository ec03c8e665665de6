"""What training starts from: new weights, or those that the user named."""

import copy
from pathlib import Path

import torch
from torch import Tensor

from dfal_cli.checkpoint import LoadedNetwork
from dfal_cli.console import Reporter
from dfal_cli.images import Shape
from dfal_cli.models import Network, build_network, fit_weights, seeded
from dfal_cli.models.weights import read_pretrained, read_weights


def starting_network(
    arch: str,
    classes: tuple[str, ...],
    shape: Shape,
    seed: int,
    reporter: Reporter,
    *,
    init: Path | None,
    before: LoadedNetwork | None,
    weights: Path | None,
    pretrained: bool,
) -> Network:
    """A network to train: new under `seed` (the paper), or from the checkpoint `init` (which is `before`) or weights.

    Raises UsageError or DataError if weights cannot be read or do not fit.
    """
    with seeded(seed, torch.device("cpu")):
        model = build_network(arch, len(classes), shape)
    if before is not None:
        state, source = copy.deepcopy(before.model.body.state_dict()), str(init)
        if before.classes != classes:
            state = _without_head(state, arch, len(classes), shape)
    elif weights:
        state, source = read_weights(weights), str(weights)
    elif pretrained:
        state, source = read_pretrained(arch), f"the pretrained {arch}"
    else:
        return model
    fresh = fit_weights(model, state, source)
    if fresh:
        reporter.note(f"{source}: all weights taken but {', '.join(fresh)}, which start anew")
    return model


def _without_head(state: dict[str, Tensor], arch: str, num_classes: int, shape: Shape) -> dict[str, Tensor]:
    """The weights that do not depend on the number of classes: the head's mean the classes they were made for."""
    with seeded(0, torch.device("cpu")):
        wider = build_network(arch, num_classes + 1, shape).body.state_dict()
        own = build_network(arch, num_classes, shape).body.state_dict()
    return {name: value for name, value in state.items() if name in own and own[name].shape == wider[name].shape}
