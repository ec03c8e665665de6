"""The connections of ranks."""

import socket
from multiprocessing.connection import Client, Listener

import pytest
import torch

from dfal_cli.errors import UsageError
from dfal_cli.system.meeting import SECONDS_TO_ANSWER, meeting, prepare, socket_of
from dfal_cli.system.ranks import Rank


def test_a_connection_ends_within_minutes_if_the_other_machine_answers_nothing():
    with Listener(("127.0.0.1", 0), authkey=None) as listener, Client(listener.address) as connection:
        prepare(connection)
        with socket_of(connection) as shared:
            assert shared.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            idle, interval, count = (
                shared.getsockopt(socket.IPPROTO_TCP, getattr(socket, f"TCP_KEEP{name}"))
                for name in ("IDLE", "INTVL", "CNT")
            )
            assert idle + count * interval <= SECONDS_TO_ANSWER
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # for what is on its way when the machine fails
                assert shared.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 1000 * SECONDS_TO_ANSWER


@pytest.mark.parametrize(("device", "message"), [
    ("cuda:1", "--device cuda:1: 2 ranks on one GPU; with --device cuda each has its own"),
    ("cuda", r"2 ranks on gpu07, which has 1 GPU: start one for each \(--nproc-per-node=1\), or use --device cpu"),
    ("auto", "2 ranks on gpu07, which has 1 GPU"),
])  # fmt: skip
def test_ranks_without_a_gpu_of_their_own_are_refused(
    device: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UsageError, match=message), meeting(Rank(1, 2, 1, 2, "gpu07"), device):
        pass
