"""Reading and validating the metadata of a checkpoint, which may come from an untrusted file."""

import contextlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dfal_cli.errors import DataError, UsageError
from dfal_cli.images import STRETCH, InputFormat
from dfal_cli.images.resize import resize_of
from dfal_cli.models.tensor_file import DamagedError, TensorFile, opened_tensors
from dfal_cli.schemas import CONTRACT, METADATA_KEY
from dfal_cli.system.paths import must_be_regular
from dfal_cli.tables.class_names import class_name_error

MOST_PIXELS = 178_956_970
"""Maximum plausible input size: twice Pillow's limit for images, above which it refuses to decode them."""


LARGEST_SIDE = 4096
"""Maximum side of the input of a backbone in pixels. Some networks have weights for each field of their input."""

HEAD_ARCHITECTURE = "linear"
"""Architecture of a head on embeddings, with or without its backbone."""


@contextlib.contextmanager
def opened_checkpoint(path: Path, option: str) -> Iterator[TensorFile]:
    """Open a checkpoint. Raises UsageError if the file does not exist, DataError if it is not a checkpoint."""
    must_be_regular(path, option)
    try:
        with opened_tensors(path) as stored:
            yield stored
    except DamagedError as error:
        raise DataError(f"{path}: not a checkpoint of dfal: {error}; create one with `dfal train`") from None


def read_checkpoint_metadata(path: Path, option: str = "--checkpoint") -> dict[str, Any]:
    """Read the metadata of a checkpoint. Raises UsageError if the file does not exist, DataError if it is invalid."""
    with opened_checkpoint(path, option) as stored:
        return read_metadata(path, stored.metadata)


def read_metadata(path: Path, stored: dict[str, Any]) -> dict[str, Any]:
    """Parse dfal's metadata in the header of a checkpoint. Raises DataError unless they describe a model."""
    try:
        metadata = json.loads(stored[METADATA_KEY])
    except (KeyError, TypeError, ValueError, RecursionError):  # RecursionError: deeply nested JSON
        metadata = None
    if not isinstance(metadata, dict):
        raise DataError(f"{path}: not a checkpoint of dfal; create one with `dfal train`")
    contract = metadata.get("contract")
    if type(contract) is not int or contract != CONTRACT:
        raise DataError(f"{path}: from another version of dfal (contract {contract!r:.80}); train again")
    if not (_describes_head(metadata) if is_head(metadata) else _describes_network(metadata)):
        raise DataError(f"{path}: its metadata is damaged and does not describe a network; train again")
    problem = class_name_error(metadata["classes"])
    if problem is not None:
        raise DataError(f"{path}: {problem}; train again")
    return metadata


def is_head(metadata: dict[str, Any]) -> bool:
    """Return whether metadata are those of a head on embeddings."""
    match metadata.get("architecture"):
        case {"name": name}:
            return bool(name == HEAD_ARCHITECTURE)
    return False


def must_take_images(path: Path, metadata: dict[str, Any]) -> None:
    """Raise UsageError for a head without its backbone."""
    if is_head(metadata) and metadata["backbone"] is None:
        raise UsageError(
            f"{path}: classifies embeddings, not images, because the backbone that computed them is not in the "
            "checkpoint; use it with --embeddings"
        )


def network_of(metadata: dict[str, Any]) -> tuple[str, tuple[str, ...], tuple[int, int, int]]:
    """Return architecture, class names and input shape of metadata that `read_metadata` has validated.

    The metadata must be those of a network that takes images (`must_take_images`); the architecture of a head with its
    backbone is the name of the backbone.
    """
    channels, height, width = metadata["input_shape"]
    name = metadata["backbone"]["backbone"] if is_head(metadata) else metadata["architecture"]["name"]
    return name, tuple(metadata["classes"]), (channels, height, width)


def input_format_of(metadata: dict[str, Any]) -> InputFormat:
    """Return the input format of the network, likewise. Older checkpoints have no white and no resize."""
    _, _, shape = network_of(metadata)
    return InputFormat(shape, metadata.get("white"), resize_of(metadata.get("resize")) or STRETCH)


def backbone_format_of(metadata: Mapping[str, Any]) -> InputFormat | None:
    """Return the input format of the backbone that metadata describe; None if they describe none."""
    match metadata:
        case {
            "backbone": str(),
            "input_shape": [int(c), int(h), int(w)],
            "normalisation": {"mean": [*mean], "std": [*std]},
        } if all(isinstance(value, float | int) for value in (*mean, *std)):
            resize = resize_of(metadata.get("resize"))
            is_size = c in (1, 3) and 0 < min(h, w) <= max(h, w) <= LARGEST_SIDE
            if is_size and _is_white(metadata.get("white")) and resize is not None:
                return InputFormat((c, h, w), metadata.get("white"), resize)
    return None


def _describes_network(metadata: dict[str, Any]) -> bool:
    match metadata:
        case {
            "architecture": {"name": str()},
            "classes": [str(), str(), *more],
            "input_shape": [c, h, w] as shape,
        } if all(isinstance(name, str) for name in more) and all(type(side) is int for side in shape):
            is_format = _is_white(metadata.get("white")) and resize_of(metadata.get("resize")) is not None
            return c in (1, 3) and min(h, w) > 0 and h * w <= MOST_PIXELS and is_format
    return False


def _describes_head(metadata: dict[str, Any]) -> bool:
    match metadata:
        case {
            "architecture": {"arguments": {"dimension": int(dimension)}},
            "classes": [str(), str(), *more],
            "embeddings": {},
            "backbone": None | {} as backbone,
        } if all(isinstance(name, str) for name in more) and dimension > 0:
            return backbone is None or (_describes_network(metadata) and backbone_format_of(backbone) is not None)
    return False


def _is_white(value: Any) -> bool:
    """Return whether the value is a valid white of an InputFormat."""
    return value is None or (type(value) in (int, float) and 0 < value < math.inf)
