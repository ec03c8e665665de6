"""Checkpoints that are not what they say, made from one that is."""

import json
import pickle
from pathlib import Path
from typing import Any

import torch

from dfal_cli.checkpoint import save_checkpoint
from dfal_cli.models import build_network, seeded

SHAPE = (1, 16, 16)
CLASSES = ("dark", "light")


def honest(path: Path, arch: str = "lenet5", shape: tuple[int, int, int] = SHAPE) -> Path:
    """Write a checkpoint that is in order."""
    with seeded(0, torch.device("cpu")):
        model = build_network(arch, len(CLASSES), shape)
    save_checkpoint(path, model, architecture=arch, classes=CLASSES, input_shape=shape, extra_metadata={"seed": 0})
    return path


def taken_apart(path: Path) -> tuple[dict[str, Any], bytes]:
    """Header and data of a safetensors file."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def put_together(path: Path, header: Any, data: bytes) -> Path:
    """The file of a header, as JSON or as it is, and data."""
    written = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(written).to_bytes(8, "little") + written + data)
    return path


def with_metadata(path: Path, **changes: Any) -> Path:
    """The honest checkpoint, telling something else of itself; ... leaves a key out."""
    header, data = taken_apart(honest(path))
    told = json.loads(header["__metadata__"]["dfal"]) | changes
    header["__metadata__"]["dfal"] = json.dumps({key: value for key, value in told.items() if value is not ...})
    return put_together(path, header, data)


def with_told(path: Path, told: str) -> Path:
    """The honest checkpoint with other text in place of its metadata."""
    header, data = taken_apart(honest(path))
    header["__metadata__"]["dfal"] = told
    return put_together(path, header, data)


class Trap:
    """Unpickled, it leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


def trapped(path: Path, trace: Path, how: str) -> Path:
    """A file that leaves a trace if it is loaded as a pickle."""
    content = {"weight": torch.ones(2), "trap": Trap(trace)}
    if how == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "zip")
    return path
