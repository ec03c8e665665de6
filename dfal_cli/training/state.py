"""A training under way, kept beside its output so that the same command goes on where it was stopped or killed.

The file is a checked one of safetensors: reading it runs no code, and a damaged one is known.
"""

import errno
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from dfal_cli.system.fingerprints import canonical_json, fingerprint
from dfal_cli.system.reporting import Reporter
from dfal_cli.system.state_files import read_checked, write_checked

SECONDS_BETWEEN = 10.0
"""A training that takes less is done again; nor is one kept more often."""

LARGEST_SHARE = 0.05
"""Of the time, for keeping it: a large network takes seconds to write."""

TOLD = "told"

State = tuple[dict[str, Tensor], dict[str, Any]]
"""Tensors, and what is ready for JSON."""


class TrainingState:
    """The file that holds it."""

    def __init__(self, out: Path, made_from: str, device: torch.device, reporter: Reporter) -> None:
        """made_from: of the checkpoint `out`; another torch or kind of device goes on otherwise, too."""
        out = out.resolve()
        self._path = out.with_name(f".{out.name}.training")
        self._made_from = fingerprint(made_from, torch.__version__, device.type)
        self._reporter = reporter
        self._next = time.monotonic() + SECONDS_BETWEEN

    def read(self) -> State | None:
        """What is kept there; None, and said why, if it is of no use."""
        if not self._path.exists():
            return None
        state = _unpacked(read_checked(self._path))
        if state is not None and state[1]["made_from"] == self._made_from:
            return state
        self.say_that_it_is(
            "damaged" if state is None else "of a training with other options, labels, images, network, device or torch"
        )
        return None

    def say_that_it_is(self, unfit: str) -> None:
        """Why it is of no use."""
        self._reporter.note(f"{self._path}: {unfit}; training starts anew")

    def write_now_and_then(self, state: Callable[[], State]) -> None:
        """Write it if the last time is long enough ago."""
        if time.monotonic() >= self._next:
            self.write(state())

    def write(self, state: State) -> bool:
        """Whether it could be written: it is an aid, and the training itself may well find the room it needs."""
        started = time.monotonic()
        try:
            write_checked(self._path, _packed(state, self._made_from))
        except OSError as error:
            self._reporter.warn(f"{self._path}: {error.strerror}; a training that is stopped will start anew")
            self._next = float("inf")
            return False
        ended = time.monotonic()
        self._next = ended + max(SECONDS_BETWEEN, (ended - started) / LARGEST_SHARE)
        return True

    def make_room_for(self, save: Callable[[], None]) -> None:
        """Save the checkpoint, if need be in the room that the training took here: several times as much."""
        try:
            save()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not self._path.exists():
                raise
            self.remove()
            save()

    def remove(self) -> None:
        """The checkpoint stands."""
        self._path.unlink(missing_ok=True)


def _packed(state: State, made_from: str) -> bytes:
    tensors, told = state
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    text = canonical_json({**told, "made_from": made_from}).encode()
    content: bytes = save({**plain, TOLD: torch.frombuffer(bytearray(text), dtype=torch.uint8)})
    return content


def _unpacked(content: bytes | None) -> State | None:
    """None if it is damaged, or something else."""
    try:
        tensors = load(content or b"")
        told = json.loads(bytes(tensors.pop(TOLD).tolist()))
    except (SafetensorError, KeyError, ValueError):
        return None
    return (tensors, told) if isinstance(told, dict) and "made_from" in told else None
