"""Weights from elsewhere to start from: a local state dict, or torchvision's own."""

import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dfal_cli.errors import DataError, UsageError
from dfal_cli.models import torchvision_networks
from dfal_cli.models.tensor_file import DamagedError, opened_tensors
from dfal_cli.path_options import must_be_regular


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict, from safetensors or from a file of torch.save (weights only: no code in it is run).

    Raises UsageError if there is no such file, DataError if it holds no state dict.
    """
    must_be_regular(path, "--weights")
    state = _from_safetensors(path) if path.suffix.lower() == ".safetensors" else _from_torch(path)
    if not isinstance(state, dict) or not all(_is_plain(name, value) for name, value in state.items()):
        raise DataError(f"{path}: not a state dict (a table of tensor names and tensors)")
    return state


def _from_safetensors(path: Path) -> Any:
    try:
        with opened_tensors(path) as stored:
            return stored.load()[0]
    except DamagedError as error:
        raise DataError(f"{path}: not a state dict in safetensors: {error}") from None


def _from_torch(path: Path) -> Any:
    try:
        if zipfile.is_zipfile(path) and _unpacked_size(path) > path.stat().st_size:
            raise ValueError("torch.save compresses nothing; this would unpack to any size")
        with warnings.catch_warnings(action="ignore"):  # of how it was pickled
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception:  # what it makes of a damaged file may be anything; its advice is to let the file run code
        raise DataError(f"{path}: not a state dict that can be loaded without running code") from None


def _unpacked_size(path: Path) -> int:
    with zipfile.ZipFile(path) as archive:
        return sum(part.file_size for part in archive.infolist())


def _is_plain(name: object, value: object) -> bool:
    """Whether it is a name and a tensor that holds its numbers: neither quantised, sparse nor without any."""
    return (
        isinstance(name, str)
        and isinstance(value, Tensor)
        and value.layout == torch.strided
        and not (value.is_quantized or value.is_meta)
    )


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
