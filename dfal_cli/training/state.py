"""The state of an unfinished training, kept beside its output so that the same command resumes it.

The state is a safetensors file behind a checksum: reading it runs no code, and damage is detected.
"""

import errno
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from dfal_cli.system.fingerprints import canonical_json, fingerprint
from dfal_cli.system.reporting import Reporter
from dfal_cli.system.state_files import read_checked, write_checked

SECONDS_BETWEEN = 10.0
"""Minimum time between two writes; a shorter training run is not worth resuming."""

LARGEST_SHARE = 0.05
"""Maximum share of the training time spent on writing: a large network takes seconds to write."""

VALUES = "told"
"""Name of the tensor that holds the JSON part of a State."""

State = tuple[dict[str, Tensor], dict[str, Any]]
"""Tensors, and everything else, ready for JSON."""


class StateFile(Protocol):
    """Where the state of an unfinished training is kept."""

    def read(self) -> State | None:
        """Return the stored state; None if there is none."""

    def report_unusable(self, reason: str) -> None:
        """Say why the state cannot be used."""

    def write_now_and_then(self, state: Callable[[], State]) -> None:
        """Write the state if the last write is long enough ago."""

    def write(self, state: State) -> bool:
        """Write the state; return whether that succeeded."""


class NoState:
    """The state of a process that leaves reading and writing to another one."""

    def read(self) -> State | None:
        """Return None."""
        return None

    def report_unusable(self, reason: str) -> None:
        """Say nothing."""

    def write_now_and_then(self, state: Callable[[], State]) -> None:
        """Write nothing."""

    def write(self, state: State) -> bool:
        """Write nothing."""
        return False


class TrainingState:
    """The state file of one output, `.<out>.training`."""

    def __init__(self, out: Path, made_from: str, device: torch.device, reporter: Reporter) -> None:
        """made_from: fingerprint of the inputs of the checkpoint `out`.

        Another version of torch or another kind of device computes other numbers, so neither resumes the training.
        """
        out = out.resolve()
        self._path = out.with_name(f".{out.name}.training")
        self._made_from = fingerprint(made_from, torch.__version__, device.type)
        self._reporter = reporter
        self._next = time.monotonic() + SECONDS_BETWEEN

    def read(self) -> State | None:
        """Return the stored state; None, with a note on the reason, if it cannot be used."""
        if not self._path.exists():
            return None
        state = _unpacked(read_checked(self._path))
        if state is not None and state[1]["made_from"] == self._made_from:
            return state
        self.report_unusable(
            "damaged"
            if state is None
            else "from a training run with other options, labels, images, network, device or version of torch"
        )
        return None

    def report_unusable(self, reason: str) -> None:
        """Say why the state cannot be used."""
        self._reporter.note(f"{self._path}: {reason}; training starts from the beginning")

    def write_now_and_then(self, state: Callable[[], State]) -> None:
        """Write the state if the last write is long enough ago."""
        if time.monotonic() >= self._next:
            self.write(state())

    def write(self, state: State) -> bool:
        """Write the state; return whether that succeeded. A failure is a warning: the training itself can go on."""
        started = time.monotonic()
        try:
            write_checked(self._path, _packed(state, self._made_from))
        except OSError as error:
            self._reporter.warn(f"{self._path}: {error.strerror}; an interrupted training run cannot be resumed")
            self._next = float("inf")
            return False
        ended = time.monotonic()
        self._next = ended + max(SECONDS_BETWEEN, (ended - started) / LARGEST_SHARE)
        return True

    def make_room_for(self, save: Callable[[], None]) -> None:
        """Save the checkpoint; if the disk is full, remove the state file first, which is several times as large."""
        try:
            save()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not self._path.exists():
                raise
            self.remove()
            save()

    def remove(self) -> None:
        """Remove the state file, once the checkpoint is written."""
        self._path.unlink(missing_ok=True)


def _packed(state: State, made_from: str) -> bytes:
    tensors, values = state
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    text = canonical_json({**values, "made_from": made_from}).encode()
    content: bytes = save({**plain, VALUES: torch.frombuffer(bytearray(text), dtype=torch.uint8)})
    return content


def _unpacked(content: bytes | None) -> State | None:
    """The state in the content of a file; None if it is damaged, or something else."""
    try:
        tensors = load(content or b"")
        values = json.loads(bytes(tensors.pop(VALUES).tolist()))
    except (SafetensorError, KeyError, ValueError):
        return None
    return (tensors, values) if isinstance(values, dict) and "made_from" in values else None
