"""The connections of ranks."""

import socket
from multiprocessing.connection import Client, Listener

from dfal_cli.system.meeting import SECONDS_TO_ANSWER, prepare, socket_of


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
