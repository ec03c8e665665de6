"""What a checkpoint tells of itself, which in a file from elsewhere may be anything."""

import json
import math
from pathlib import Path
from typing import Any

from dfal_cli.errors import DataError
from dfal_cli.images import InputFormat
from dfal_cli.schemas import CONTRACT, METADATA_KEY
from dfal_cli.tables.class_names import class_name_error

MOST_PIXELS = 178_956_970
"""No image that is read has more; Pillow takes them for an attack."""


def read_metadata(path: Path, stored: dict[str, Any]) -> dict[str, Any]:
    """Read dfal's metadata among what the header of the file holds. Raises DataError unless they tell a network."""
    try:
        metadata = json.loads(stored[METADATA_KEY])
    except (KeyError, TypeError, ValueError, RecursionError):  # the last one of brackets without end
        metadata = None
    if not isinstance(metadata, dict):
        raise DataError(f"{path}: not a checkpoint of dfal; `dfal train` writes one")
    contract = metadata.get("contract")
    if type(contract) is not int or contract != CONTRACT:
        raise DataError(f"{path}: from another version of dfal (contract {contract!r:.80}); train again")
    if not _tells_a_network(metadata):
        raise DataError(f"{path}: its metadata are damaged: they tell no network; train again")
    problem = class_name_error(metadata["classes"])
    if problem is not None:
        raise DataError(f"{path}: {problem}; train again")
    return metadata


def network_of(metadata: dict[str, Any]) -> tuple[str, tuple[str, ...], tuple[int, int, int]]:
    """Architecture, class names and input shape, as `read_metadata` has seen to them."""
    channels, height, width = metadata["input_shape"]
    return metadata["architecture"]["name"], tuple(metadata["classes"]), (channels, height, width)


def input_format_of(metadata: dict[str, Any]) -> InputFormat:
    """How images were made into pixels for the network, likewise. Older checkpoints tell no white."""
    _, _, shape = network_of(metadata)
    return InputFormat(shape, metadata.get("white"))


def _tells_a_network(metadata: dict[str, Any]) -> bool:
    match metadata:
        case {
            "architecture": {"name": str()},
            "classes": [str(), str(), *more],
            "input_shape": [c, h, w] as shape,
        } if all(isinstance(name, str) for name in more) and all(type(side) is int for side in shape):
            return c in (1, 3) and min(h, w) > 0 and h * w <= MOST_PIXELS and _is_white(metadata.get("white"))
    return False


def _is_white(value: Any) -> bool:
    """Whether it can be the white of images of more than 8 bits: a number, or None where there were none."""
    return value is None or (type(value) in (int, float) and 0 < value < math.inf)
