"""What sources of pretrained networks have in common: how images are prepared, and how weights are loaded."""

import hashlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dfal_cli.errors import DataError, listed
from dfal_cli.images import Resize
from dfal_cli.models.normalised import Normalisation, Shape

State = dict[str, Tensor]


class Recipe(NamedTuple):
    """How images were prepared when the weights were trained."""

    side: int
    """Side of the square input in pixels."""
    resize: Resize
    normalisation: Normalisation


class Source(NamedTuple):
    """Where backbones come from. Each function takes the name of a backbone; it need not be one that `has` knows."""

    has: Callable[[str], bool]
    """Whether there is a backbone of this name."""
    recipe: Callable[[str], Recipe]
    build: Callable[[str, Shape], nn.Module]
    """The network without its head and with random weights: normalised images (B, C, H, W) to embeddings (B, d)."""
    pretrained: Callable[[str, Shape], nn.Module]
    """The same with its own weights, which are installed or downloaded. Raises UsageError if they are not to be had."""
    renamed: Callable[[State, nn.Module], State] = lambda state, body: state
    """The weights of a file, by the names that the network has for them."""
    is_installed: bool = False
    """Whether its own weights need no download."""


def load_all(body: nn.Module, state: Mapping[str, Tensor], source: str) -> nn.Module:
    """Load the weights of a network without its head; the state dict may have more, such as a head.

    source: where the weights come from, for messages. Raises DataError if a weight is missing or has another shape.
    """
    own = body.state_dict()
    missing = [name for name in own if name not in state and not name.endswith("num_batches_tracked")]
    others = [name for name in own if name in state and state[name].shape != own[name].shape]
    if missing or others:
        wrong = missing or [f"{name} {tuple(state[name].shape)}, not {tuple(own[name].shape)}" for name in others]
        raise DataError(
            f"{source}: not the weights of this backbone: {len(missing)} of {len(own)} tensors are missing and "
            f"{len(others)} have another shape ({listed(wrong, most=3)})"
        )
    body.load_state_dict({name: state[name] for name in own if name in state}, strict=False)
    return body


def sha256_of_state(state: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of names, types, shapes and values of weights, in whatever file they are."""
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        stored = value.detach().cpu().contiguous()
        digest.update(f"{name} {stored.dtype} {tuple(stored.shape)}\n".encode())
        digest.update(stored.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
