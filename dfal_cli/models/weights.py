"""Reading weights to start from: from a local file, or torchvision's pretrained ones."""

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
"""Keys under which training scripts store a state dict, beside epoch, optimiser and so on.

Averaged weights come first, as in timm's loader, because such scripts report the accuracy of these.
"""

PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.", "encoder.")
"""Prefixes of tensor names added by DataParallel, torch.compile, Lightning and self-supervised training."""

MOST_PREFIXES = 4
"""Maximum number of prefixes of one name."""


class UnwrappedState(NamedTuple):
    """A state dict found in a weights file."""

    state: State
    container: str
    """Key under which it was stored; "" if it is the whole file."""
    prefix: str = ""
    """Prefixes that were removed from its names."""

    def __str__(self) -> str:
        parts = (self.container and f"its {self.container!r}", self.prefix and f"names without {self.prefix!r}")
        return ", ".join(filter(None, parts))


def read_weights(path: Path) -> dict[str, Any]:
    """Read a weights file, in safetensors format or from torch.save (`weights_only`, so that no code in it is run).

    Returns a state dict, or the dict of a training script, with state dicts under CONTAINERS.
    Raises UsageError if the file does not exist, DataError if it holds no state dict.
    """
    must_be_regular(path, "--weights")
    stored = _from_safetensors(path) if path.suffix.lower() == ".safetensors" else _from_torch(path)
    if not _is_state(stored) and not any(_contained(stored)):
        others = f", and has none under {', '.join(CONTAINERS)}" if isinstance(stored, dict) else ""
        raise DataError(f"{path}: not a state dict (a dict from tensor names to tensors){others}")
    whole: dict[str, Any] = stored
    return whole


def best_matching_state(network: Network, stored: dict[str, Any]) -> UnwrappedState:
    """Return the state dict in the result of `read_weights` that matches most tensors of the network.

    Every container is tried, with and without prefixes. Ties go to the first of CONTAINERS, then to the fewest removed
    prefixes.
    """
    found = [UnwrappedState(stored, "")] if _is_state(stored) else list(_contained(stored))
    candidates = itertools.chain.from_iterable(_without_prefixes(state, MOST_PREFIXES) for state in found)
    return max(candidates, key=lambda candidate: len(matching_weights(network, candidate.state)))


def _contained(stored: Any) -> Iterator[UnwrappedState]:
    for name in CONTAINERS if isinstance(stored, dict) else ():
        if _is_state(stored.get(name)):
            yield UnwrappedState(stored[name], name)


def _without_prefixes(original: UnwrappedState, most: int) -> Iterator[UnwrappedState]:
    """Yield the state dict as it is, and then with up to `most` prefixes removed."""
    yield original
    state, container, removed = original
    for prefix in PREFIXES if most else ():
        within = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        if within:
            others = {name: value for name, value in state.items() if not name.startswith(prefix)}
            yield from _without_prefixes(UnwrappedState(others | within, container, removed + prefix), most - 1)


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
            warnings.catch_warnings(action="ignore"),  # about the pickle format
            # Training scripts store their options beside the weights in a Namespace, which is safe to load.
            torch.serialization.safe_globals([argparse.Namespace]),
        ):
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception:  # torch raises almost anything for damaged files, and advises to let the file run code
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
    """Return whether this is a name with a dense tensor that has data and is not quantised."""
    return (
        isinstance(name, str)
        and isinstance(value, Tensor)
        and value.layout == torch.strided
        and not (value.is_quantized or value.is_meta)
    )


def read_pretrained(architecture: str) -> State:
    """Return torchvision's weights for a network. Raises UsageError if there are none or the download fails."""
    if architecture not in torchvision_networks.names():
        raise UsageError(
            f"--pretrained: there are no pretrained weights for {architecture}; "
            "use a network of torchvision, such as --arch resnet18"
        )
    try:
        return torchvision_networks.pretrained_weights(architecture)
    except (OSError, RuntimeError) as error:  # RuntimeError: the downloaded file has the wrong hash
        url = torchvision_networks.weights_url(architecture)
        raise UsageError(
            f"--pretrained: the weights of {architecture} cannot be downloaded ({' '.join(str(error).split())}); "
            f"fetch {url} in another way and use the file: --weights {url.rpartition('/')[2]}"
        ) from None
