"""Other tensors in the place of a network's weights, for a while."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn


@contextlib.contextmanager
def standing_in(model: nn.Module, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """In the block `weights`, by the names of `named_parameters`, stand wherever these parameters are.

    Afterwards every parameter is back. torch.func.functional_call swaps a module that has two names twice, and what it
    puts back last is the stand-in.
    """
    names = {own: name for name, own in model.named_parameters()}
    held: list[tuple[dict[str, Any], str, nn.Parameter]] = [
        (module._parameters, key, own)
        for module in model.modules()
        for key, own in module._parameters.items()
        if own is not None and names[own] in weights
    ]
    try:
        for parameters, key, own in held:
            parameters[key] = weights[names[own]]
        yield
    finally:
        for parameters, key, own in held:
            parameters[key] = own
