"""Checkpoints: weights and the metadata to rebuild the model. Loading a checkpoint runs no code from it."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from dfal_cli.errors import DataError, UsageError
from dfal_cli.images import InputFormat
from dfal_cli.models import Network, Shape, build_network, check_finite, is_known, runs_code, seeded, state_shapes
from dfal_cli.models.backbones import rebuild_backbone
from dfal_cli.models.head_file import BACKBONE, BIAS, WEIGHT
from dfal_cli.models.headed import headed_network
from dfal_cli.models.metadata import (
    input_format_of,
    is_head,
    must_take_images,
    network_of,
    opened_checkpoint,
    read_checkpoint_metadata,
    read_metadata,
)
from dfal_cli.models.tensor_file import TensorFile, TensorInfo
from dfal_cli.schemas import CONTRACT, METADATA_KEY
from dfal_cli.system.device import is_out_of_memory
from dfal_cli.system.files import atomic_output
from dfal_cli.system.fingerprints import canonical_json

__all__ = [
    "LoadedNetwork",
    "load_checkpoint",
    "read_checkpoint_metadata",
    "save_checkpoint",
    "trusted_architecture",
]


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
    """The device of the model."""
    metadata: dict[str, Any]
    """All metadata of the checkpoint: architecture, seed, metrics, sha256 of the labels ..."""
    sha256: str
    """SHA-256 of the checkpoint file when it was loaded."""

    @property
    def input_format(self) -> InputFormat:
        """The conversion of images to pixels that was used in training."""
        return input_format_of(self.metadata)


def save_checkpoint(
    path: Path,
    model: Network,
    *,
    architecture: str,
    classes: tuple[str, ...],
    input_shape: tuple[int, int, int],
    white: float | None = None,
    extra_metadata: dict[str, Any],
) -> None:
    """Write a network so that `load_checkpoint` can rebuild it; equal arguments give equal bytes.

    white: the value of white in images of more than 8 bits; None if no training image has more.
    extra_metadata: further JSON values to store.
    """
    metadata = {
        "contract": CONTRACT,
        "architecture": {"name": architecture, "arguments": {}},
        "classes": classes,
        "input_shape": input_shape,
        "white": white,
        "normalisation": model.normalisation._asdict(),
        **extra_metadata,
    }
    weights = {name: value.detach().cpu().contiguous().clone() for name, value in model.body.state_dict().items()}
    with atomic_output(path) as temporary:
        # All metadata are under one key because the file format does not define the order of keys.
        temporary.write_bytes(save(weights, metadata={METADATA_KEY: canonical_json(metadata)}))


def load_checkpoint(
    path: str | Path,
    device: str | torch.device = "cpu",
    *,
    trust_code: bool = False,
    architecture: str | None = None,
    option: str = "--checkpoint",
) -> LoadedNetwork:
    """Load a checkpoint and rebuild its network.

    A network given as `package.module:function` is the user's own code: it is rebuilt only if `trust_code` is set or
    `architecture` names it. For all other networks the shapes are checked before memory for weights is allocated.

    Args:
        path: the checkpoint file.
        device: the device to load the model to.
        trust_code: whether to run the user's own code that builds the network.
        architecture: the expected network; None = any.
        option: the command-line option that named the file, for messages.

    Raises:
        UsageError: the file does not exist, the network's code is not trusted, or the network is not `architecture`.
        DataError: the file is not a valid checkpoint of this contract version.
    """
    path = Path(path)
    with opened_checkpoint(path, option) as stored:
        metadata = read_metadata(path, stored.metadata)
        must_take_images(path, metadata)
        name, classes, shape = network_of(metadata)
        _check_architecture(path, name, trust_code, architecture)
        model = _model(path, stored, metadata)
        state, sha256 = stored.load()
    check_finite(state, path)
    model.body.load_state_dict(state)
    return LoadedNetwork(model.to(device).eval(), classes, shape, torch.device(device), metadata, sha256)


def trusted_architecture(path: Path, *, trust_code: bool, architecture: str | None, option: str) -> str:
    """Return the name of a checkpoint's network if its code may be run. Raises the errors of `load_checkpoint`."""
    with opened_checkpoint(path, option) as stored:
        metadata = read_metadata(path, stored.metadata)
        must_take_images(path, metadata)
        name, _, _ = network_of(metadata)
    _check_architecture(path, name, trust_code, architecture)
    return name


def _check_architecture(path: Path, name: str, trust_code: bool, architecture: str | None) -> None:
    """Raise UsageError if the network's code is not trusted, or the network is not the expected one."""
    if runs_code(name) and not trust_code and architecture != name:
        raise UsageError(f"{path}: its network is custom code, {name}; allow it with --trust-code or --arch {name}")
    if architecture not in (None, name):
        raise UsageError(f"--arch {architecture}: {path} contains a {name} network; omit --arch")


def _model(path: Path, stored: TensorFile, metadata: dict[str, Any]) -> Network:
    """Return the network with random weights. Raises DataError unless the file declares exactly its tensors."""
    name, classes, shape = network_of(metadata)
    if is_head(metadata):
        return _headed(path, name, stored, metadata)
    if not runs_code(name):
        _check_fit(path, name, stored, _state_shapes(path, name, len(classes), shape))
        with _of_input_shape(path, name, shape):
            return _built(name, len(classes), shape)
    model = _built(name, len(classes), shape)
    _check_fit(path, name, stored, model.body.state_dict())
    return model


def _headed(path: Path, name: str, stored: TensorFile, metadata: dict[str, Any]) -> Network:
    num_classes, dimension = len(metadata["classes"]), metadata["architecture"]["arguments"]["dimension"]
    if num_classes * dimension > path.stat().st_size:  # before memory is allocated for a head that cannot be in there
        raise DataError(f"{path}: its head does not match its metadata; train again")
    shapes_of_head = {WEIGHT: (num_classes, dimension), BIAS: (num_classes,)}

    def check(backbone: dict[str, Tensor]) -> None:
        wanted = {key: torch.empty(shape, device="meta") for key, shape in shapes_of_head.items()}
        _check_fit(path, name, stored, wanted | {f"{BACKBONE}{key}": value for key, value in backbone.items()})

    model = headed_network(rebuild_backbone(metadata["backbone"], check), num_classes, dimension)
    _check_fit(path, name, stored, model.body.state_dict())
    return model


def _state_shapes(path: Path, name: str, num_classes: int, shape: Shape) -> dict[str, Tensor]:
    if not is_known(name):
        raise DataError(f"{path}: its network {name!r:.80} is unknown to this version of dfal; train again")
    with _of_input_shape(path, name, shape):
        return state_shapes(name, num_classes, shape)


@contextlib.contextmanager
def _of_input_shape(path: Path, name: str, shape: Shape) -> Iterator[None]:
    """Raise DataError if the network cannot be built in the block."""
    try:
        yield
    except Exception as error:  # layers raise various errors for shapes they cannot take
        if is_out_of_memory(error):
            raise
        raise DataError(f"{path}: its network {name} does not accept images of its input shape {shape}") from None


def _built(name: str, num_classes: int, shape: Shape) -> Network:
    with seeded(0, torch.device("cpu")):  # random initial weights, which are then overwritten
        return build_network(name, num_classes, shape)


def _check_fit(path: Path, name: str, stored: TensorFile, wanted: dict[str, Tensor]) -> None:
    """Raise DataError unless the file declares exactly these tensors."""
    tensors = stored.tensors
    problems = [
        *(f"{key} is missing" for key in wanted.keys() - tensors.keys()),
        *(f"{key:.80} is unexpected" for key in tensors.keys() - wanted.keys()),
        *(
            f"{key} is {_described(tensors[key])}, not {_described(_info_of(value))}"
            for key, value in wanted.items()
            if key in tensors and tensors[key] != _info_of(value)
        ),
    ]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise DataError(f"{path}: its weights do not match its network {name}: {min(problems)}{more}; train again")


def _info_of(tensor: Tensor) -> TensorInfo:
    return TensorInfo(str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape))


def _described(tensor: TensorInfo) -> str:
    return f"{tensor.dtype} {'x'.join(map(str, tensor.shape)):.80}"
