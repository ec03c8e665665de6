"""The meeting of ranks: torch.distributed's process group, through which torchrun's processes find each other."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch import distributed

from dfal_cli.errors import TryAgainError, UsageError, plural
from dfal_cli.system.ranks import Rank

TIMEOUT = timedelta(minutes=10)
"""Ranks of a large job start at different times."""

SECONDS_BETWEEN_CHECKS = 0.2
"""While a rank waits for others, it looks this often whether a signal asks it to end."""

SECONDS_TO_ANSWER = 120
"""A machine that answers nothing for so long has gone: its power or its network has failed."""

PATIENCE = {
    "TCP_KEEPIDLE": SECONDS_TO_ANSWER // 2, "TCP_KEEPINTVL": SECONDS_TO_ANSWER // 8, "TCP_KEEPCNT": 4,
    "TCP_USER_TIMEOUT": 1000 * SECONDS_TO_ANSWER,
}  # fmt: skip
"""Options of TCP that make it so, where the system has them; by default it is hours."""


@contextlib.contextmanager
def meeting(rank: Rank, device: str) -> Iterator[None]:
    """Join the process group for the block. Each rank computes on a GPU of its own, if there are any.

    device: the --device option. Raises UsageError if this machine has fewer GPUs than ranks, or all should share one,
    TryAgainError if the ranks do not find each other.
    """
    _take_own_gpu(rank, device)
    try:
        _interruptibly(lambda: distributed.init_process_group("gloo", timeout=TIMEOUT))
    except RuntimeError as error:
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        reason = str(error).splitlines()[0]
        raise TryAgainError(
            f"{rank}: the ranks have not found each other at {where}: {reason} (see `dfal docs ranks`)"
        ) from None
    yield
    distributed.destroy_process_group()  # not after a signal: torch may still wait for another rank in a thread


def _take_own_gpu(rank: Rank, device: str) -> None:
    """Make the GPU of the rank's number on its machine the current one. Raises UsageError if it has none of its own."""
    if device.startswith("cuda:") and rank.local_of > 1:
        raise UsageError(f"--device {device}: {rank.local_of} ranks on one GPU; with --device cuda each has its own")
    gpus = torch.cuda.device_count()
    if not gpus or device not in ("auto", "cuda"):
        return
    if rank.local_of > gpus:
        raise UsageError(
            f"{rank.local_of} ranks on {rank.host}, which has {gpus} {plural(gpus, 'GPU')}: start one for each "
            f"(--nproc-per-node={gpus}), or use --device cpu"
        )
    torch.cuda.set_device(rank.local)


def told_by_leader(value: Any = None) -> Any:
    """Return the value that rank 0 has passed to this function. Raises TryAgainError if a rank dies meanwhile."""
    values = [value]
    try:
        _interruptibly(lambda: distributed.broadcast_object_list(values, src=0))
    except RuntimeError as error:
        raise TryAgainError(f"the ranks have not found each other: {str(error).splitlines()[0]}") from None
    return values[0]


def socket_of(connection: Connection) -> socket.socket:
    """Return the TCP socket of a connection as a copy, to be closed by the caller: what is set here is set for both."""
    return socket.socket(fileno=os.dup(connection.fileno()))


def prepare(connection: Connection) -> None:
    """Let a connection send short messages without waiting for more, and end if the other machine has gone."""
    with socket_of(connection) as shared:
        shared.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in PATIENCE.items():
            if hasattr(socket, name):
                shared.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _interruptibly(wait: Callable[[], object]) -> None:
    """Call a function that waits for other ranks. A signal can end the wait: torch itself would not notice it."""
    errors: list[BaseException] = []

    def call() -> None:
        try:
            wait()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(SECONDS_BETWEEN_CHECKS)
    if errors:
        raise errors[0]
