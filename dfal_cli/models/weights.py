"""Weights from elsewhere to start from: a local state dict, or torchvision's own."""

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from dfal_cli.errors import DataError, UsageError
from dfal_cli.files import must_exist
from dfal_cli.models import torchvision_networks


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict, from safetensors or from a file of torch.save (weights only: no code in it is run).

    Raises UsageError if there is no such file, DataError if it holds no state dict.
    """
    must_exist(path, "--weights")
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise DataError(f"{path}: not a state dict that can be loaded without running code ({error})") from None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise DataError(f"{path}: not a state dict (a table of tensor names and tensors)")
    return state


def read_pretrained(architecture: str) -> dict[str, Tensor]:
    """Torchvision's own weights for a network. Raises UsageError if it has none or they cannot be fetched."""
    if architecture not in torchvision_networks.names():
        raise UsageError(f"--pretrained: there are no weights for {architecture}, only for torchvision's networks")
    try:
        return torchvision_networks.pretrained_weights(architecture)
    except OSError as error:
        raise UsageError(
            f"--pretrained: the weights of {architecture} cannot be fetched ({error}); see --weights"
        ) from None
