"""The server of the labelling page: threads that answer requests while the command waits."""

import contextlib
import logging
import socket
import sys
import threading
from collections.abc import Iterator

from waitress import wasyncore
from waitress.server import create_server

from dfal_cli.errors import UsageError
from dfal_cli.pages.labelling.guard import MOST_BODY_BYTES, Application

USUAL_PORT = 8350
"""The port if no other is asked for and nobody uses it, so that a tunnel to it can stay open."""

THREADS = 16

SWITCH_SECONDS = 0.0005
"""Time that a thread which makes pictures goes on when an answer waits; Python's own is ten times as long."""

SECONDS_TO_END = 5.0
"""Time that requests get to end when the server does."""


@contextlib.contextmanager
def listening(host: str, port: int | None) -> Iterator[socket.socket]:
    """Yield a socket that listens; without a port, on the usual one or else on any. Raises UsageError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            _bind(listener, host, port)
            listener.listen()  # until then, another process could bind the same port
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise UsageError(f"cannot listen on {host}:{port or 'any port'}: {reason}; choose another --port") from None
        yield listener


def _bind(listener: socket.socket, host: str, port: int | None) -> None:
    if port is not None:
        listener.bind((host, port))
        return
    try:
        listener.bind((host, USUAL_PORT))
    except OSError:
        listener.bind((host, 0))


@contextlib.contextmanager
def serving(application: Application, listener: socket.socket) -> Iterator[None]:
    """Answer requests in the block. Requests that came before its end are finished, and connections are closed."""
    logging.getLogger("waitress").setLevel(logging.CRITICAL)  # what strangers send is nobody's concern
    open_sockets: dict[int, wasyncore.dispatcher] = {}
    server = create_server(
        application, map=open_sockets, sockets=[listener], threads=THREADS, max_request_body_size=MOST_BODY_BYTES,
        max_request_header_size=32_768, expose_tracebacks=False, ident=None,
    )  # fmt: skip
    ending = threading.Event()

    def run() -> None:
        while not ending.is_set():
            # A thread may close a connection that this one is about to wait for. select would fail, poll goes on.
            wasyncore.loop(timeout=server.adj.asyncore_loop_timeout, use_poll=True, map=open_sockets, count=1)

    sys.setswitchinterval(SWITCH_SECONDS)
    thread = threading.Thread(target=run, name="server", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.task_dispatcher.shutdown(timeout=SECONDS_TO_END)
        ending.set()
        server.trigger.pull_trigger()
        thread.join(SECONDS_TO_END)
        # Not in the thread: the trigger must stay open until it is pulled.
        for channel in list(server.active_channels.values()):
            channel.handle_write()  # the last replies
        wasyncore.close_all(open_sockets, ignore_all=True)
