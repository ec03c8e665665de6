"""Checkpoints: weights with all that rebuilds the model. Loading one runs no code from it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from dfal_cli.errors import DataError, UsageError
from dfal_cli.files import atomic_output, canonical_json, must_exist
from dfal_cli.models import Network, build_network, runs_code, seeded
from dfal_cli.schemas import CONTRACT, METADATA_KEY


@dataclass(frozen=True)
class LoadedNetwork:
    """A trained network, ready to classify."""

    model: Network
    """nn.Module in eval mode: float images in [0, 1], (B, C, H, W) -> logits (B, K); normalisation is inside."""
    classes: tuple[str, ...]
    """The K class names, in the order of the logits."""
    input_shape: tuple[int, int, int]
    """(C, H, W)"""
    device: torch.device
    """Where the model is."""
    metadata: dict[str, Any]
    """What else the checkpoint tells: architecture, seed, metrics, sha256 of the labels ..."""


def save_checkpoint(
    path: Path,
    model: Network,
    *,
    architecture: str,
    classes: tuple[str, ...],
    input_shape: tuple[int, int, int],
    further: dict[str, Any],
) -> None:
    """Write a network so that `load_checkpoint` can rebuild it; equal arguments give equal bytes."""
    metadata = {
        "contract": CONTRACT,
        "architecture": {"name": architecture, "arguments": {}},
        "classes": classes,
        "input_shape": input_shape,
        "normalisation": model.normalisation._asdict(),
        **further,
    }
    weights = {name: value.detach().cpu().contiguous().clone() for name, value in model.body.state_dict().items()}
    with atomic_output(path) as temporary:
        # One key: the file format does not fix the order of several.
        temporary.write_bytes(save(weights, metadata={METADATA_KEY: canonical_json(metadata)}))


def load_checkpoint(
    path: str | Path,
    device: str | torch.device = "cpu",
    *,
    trust_code: bool = False,
    architecture: str | None = None,
) -> LoadedNetwork:
    """Rebuild the network of a checkpoint.

    A network given as `package.module:function` is the user's own code: it is rebuilt only if `trust_code` is set or
    the same `architecture` is named here.

    Raises UsageError: no such file, or code that is not trusted. DataError: not a checkpoint of this contract.
    """
    path = Path(path)
    metadata = read_checkpoint_metadata(path)
    name = metadata["architecture"]["name"]
    if runs_code(name) and not trust_code and architecture != name:
        raise UsageError(
            f"{path}: its network is code of your own, {name}; allow it with --trust-code or --arch {name}"
        )
    shape: tuple[int, int, int] = tuple(metadata["input_shape"])
    classes = tuple(metadata["classes"])
    with seeded(0, torch.device("cpu")):  # initial weights are drawn, then overwritten
        model = build_network(name, len(classes), shape)
    try:
        with safe_open(path, framework="pt") as stored:
            model.body.load_state_dict({key: stored.get_tensor(key) for key in stored.keys()})  # noqa: SIM118
    except (SafetensorError, RuntimeError) as error:
        raise DataError(f"{path}: its weights do not fit its network {name}: {error}") from None
    return LoadedNetwork(model.to(device).eval(), classes, shape, torch.device(device), metadata)


def read_checkpoint_metadata(path: Path) -> dict[str, Any]:
    """Read what a checkpoint tells of itself. Raises UsageError if it does not exist, DataError if it is none."""
    must_exist(path, "--checkpoint")
    try:
        with safe_open(path, framework="pt") as stored:
            metadata = json.loads((stored.metadata() or {})[METADATA_KEY])
    except (SafetensorError, KeyError, ValueError, OSError):
        metadata = None
    if not isinstance(metadata, dict):
        raise DataError(f"{path}: not a checkpoint of dfal; `dfal train` writes one")
    if metadata.get("contract") != CONTRACT:
        raise DataError(f"{path}: from another version of dfal (contract {metadata.get('contract')}); train again")
    if not _tells_a_network(metadata):
        raise DataError(f"{path}: its metadata are damaged: they tell no network; train again")
    return metadata


def _tells_a_network(metadata: dict[str, Any]) -> bool:
    """Whether the metadata hold what rebuilds a network; a file from elsewhere may hold anything."""
    match metadata:
        case {
            "architecture": {"name": str()},
            "classes": [str(), str(), *more],
            "input_shape": [int(c), int(h), int(w)],
        }:
            return all(isinstance(name, str) for name in more) and c in (1, 3) and min(h, w) > 0
    return False
