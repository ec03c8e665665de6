"""Weights from elsewhere to start from: a local file, or torchvision's own."""

import argparse
import itertools
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dfal_cli.errors import DataError, UsageError
from dfal_cli.models import torchvision_networks
from dfal_cli.models.network import matching_weights
from dfal_cli.models.normalised import Network
from dfal_cli.models.tensor_file import DamagedError, opened_tensors
from dfal_cli.system.paths import must_be_regular

State = dict[str, Tensor]

CONTAINERS = ("state_dict_ema", "model_ema", "state_dict", "model", "module")
"""Under which training scripts store a state dict, beside the epoch, the optimiser and so on.

The averaged weights come first, as in timm's own loader: they are the ones that such scripts report their accuracy of.
"""

PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.", "encoder.")
"""What DataParallel, torch.compile, Lightning and self-supervised training put before the names of tensors."""

DEEPEST = 4
"""Prefixes before one name."""


class UnwrappedState(NamedTuple):
    """A state dict that a file of weights can be read as."""

    state: State
    container: str
    """Under which it is stored; "" if it is the whole file."""
    prefix: str = ""
    """What has been taken away from before its names."""

    def __str__(self) -> str:
        parts = (self.container and f"its {self.container!r}", self.prefix and f"names without {self.prefix!r}")
        return ", ".join(filter(None, parts))


def read_weights(path: Path) -> dict[str, Any]:
    """Read a file of weights, from safetensors or from torch.save (weights only: no code in it is run).

    Returns a state dict, or what a training script has stored: a dict with state dicts under CONTAINERS.
    Raises UsageError if there is no such file, DataError if it holds no state dict.
    """
    must_be_regular(path, "--weights")
    stored = _from_safetensors(path) if path.suffix.lower() == ".safetensors" else _from_torch(path)
    if not _is_state(stored) and not any(_contained(stored)):
        others = f", nor has it one under {', '.join(CONTAINERS)}" if isinstance(stored, dict) else ""
        raise DataError(f"{path}: not a state dict (a table of tensor names and tensors){others}")
    whole: dict[str, Any] = stored
    return whole


def best_matching_state(network: Network, stored: dict[str, Any]) -> UnwrappedState:
    """Of all that the weights, as `read_weights` returns them, can be read as: what most of the network's tensors fit.

    Of several the first one of CONTAINERS, and the one with the fewest prefixes taken away.
    """
    inner = [UnwrappedState(stored, "")] if _is_state(stored) else list(_contained(stored))
    readings = itertools.chain.from_iterable(_stripped(state, DEEPEST) for state in inner)
    return max(readings, key=lambda reading: len(matching_weights(network, reading.state)))


def _contained(stored: Any) -> Iterator[UnwrappedState]:
    for name in CONTAINERS if isinstance(stored, dict) else ():
        if _is_state(stored.get(name)):
            yield UnwrappedState(stored[name], name)


def _stripped(whole: UnwrappedState, deepest: int) -> Iterator[UnwrappedState]:
    """The state dict, and what it is without prefixes, one after the other."""
    yield whole
    state, container, before = whole
    for prefix in PREFIXES if deepest else ():
        within = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        if within:
            others = {name: value for name, value in state.items() if not name.startswith(prefix)}
            yield from _stripped(UnwrappedState(others | within, container, before + prefix), deepest - 1)


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
        with (
            warnings.catch_warnings(action="ignore"),  # of how it was pickled
            # Training scripts store their options beside the weights, in a plain object that runs nothing.
            torch.serialization.safe_globals([argparse.Namespace]),
        ):
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception:  # what it makes of a damaged file may be anything; its advice is to let the file run code
        raise DataError(
            f"{path}: not a state dict that can be loaded without running code; "
            "store the state dict alone: torch.save(model.state_dict(), FILE)"
        ) from None


def _unpacked_size(path: Path) -> int:
    with zipfile.ZipFile(path) as archive:
        return sum(part.file_size for part in archive.infolist())


def _is_state(stored: Any) -> bool:
    return (
        isinstance(stored, dict) and len(stored) > 0 and all(_is_plain(name, value) for name, value in stored.items())
    )


def _is_plain(name: object, value: object) -> bool:
    """Whether it is a name and a tensor that holds its numbers: neither quantised, sparse nor without any."""
    return (
        isinstance(name, str)
        and isinstance(value, Tensor)
        and value.layout == torch.strided
        and not (value.is_quantized or value.is_meta)
    )


def read_pretrained(architecture: str) -> State:
    """Torchvision's own weights for a network. Raises UsageError if it has none or they cannot be fetched."""
    if architecture not in torchvision_networks.names():
        raise UsageError(
            f"--pretrained: there are no weights for {architecture}, only for torchvision's networks: "
            "name one of them, such as --arch resnet18"
        )
    try:
        return torchvision_networks.pretrained_weights(architecture)
    except (OSError, RuntimeError) as error:  # the latter of a download that is not what it should be
        url = torchvision_networks.weights_url(architecture)
        raise UsageError(
            f"--pretrained: the weights of {architecture} cannot be downloaded ({' '.join(str(error).split())}); "
            f"fetch {url} in another way and name the file: --weights {url.rpartition('/')[2]}"
        ) from None
