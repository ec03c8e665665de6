"""What a measure is."""

import contextlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from torch import Tensor, nn

Compute = Callable[[Tensor], Tensor]
"""Images (B, C, H, W), float in [0, 1] -> (B,), or (B, d) of a vector. An image gets the same in any batch."""


class Settings(NamedTuple):
    """What a measure may want to know besides the network."""

    architecture: str
    """The network's name, for messages."""
    passes: int
    """How many networks Monte Carlo dropout samples."""
    seed: int
    warn: Callable[[str], None]
    """Tells a person something."""


class Measure(NamedTuple):
    """An entry of the table."""

    prepare: Callable[[nn.Module, Settings], Compute]
    """Raises UsageError if the network has not what it takes. The model's mode, requires_grad and .grad stay as they
    were; dropout and batch statistics are off while it is measured."""
    help: str
    vector: bool = False


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """In the block the model is in eval mode; afterwards each of its modules is in the mode it was in."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        yield
    finally:
        for module, training in modes:
            module.training = training
