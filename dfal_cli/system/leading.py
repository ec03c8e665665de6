"""Rank 0: hands out tasks to the other ranks, and collects the results."""

import contextlib
import functools
import os
import queue
import secrets
import signal
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener
from types import TracebackType
from typing import Any, Self

from dfal_cli.errors import DfalError, Interrupted
from dfal_cli.system import signals
from dfal_cli.system.crew import Each, Task, Work
from dfal_cli.system.meeting import SECONDS_BETWEEN_CHECKS, prepare, socket_of, told_by_leader
from dfal_cli.system.ranks import (
    CLAIM,
    DONE,
    END,
    ERROR,
    JOB,
    LEFT,
    NOTE,
    RESULT,
    START,
    TASK,
    WARNING,
    Rank,
    ended,
)
from dfal_cli.system.reporting import Silent

SECONDS_FOR_SIGNAL = 1.0
"""A signal to all ranks reaches rank 0 within this time after another rank has left because of it."""

LOOPBACK = "127.0.0.1"


class Leader:
    """The crew of all ranks, as rank 0 leads it. As a context manager, it ends the other ranks."""

    def __init__(self, rank: Rank, reporter: Silent) -> None:
        """Wait until all other ranks have connected."""
        self._rank = rank
        self._reporter = reporter
        key = secrets.token_bytes(32)
        is_one_machine = rank.local_of == rank.of
        with Listener((LOOPBACK if is_one_machine else "", 0), backlog=rank.of, authkey=key) as listener:
            host = LOOPBACK if is_one_machine else os.environ["MASTER_ADDR"]
            told_by_leader((rank, (host, listener.address[1]), key))
            self._helpers = [_Helper(_accepted(listener)) for _ in range(rank.of - 1)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lost = [helper for helper in self._helpers if helper.has_died()]
        for helper in self._helpers:
            helper.end()
        if lost and isinstance(error, Interrupted):  # torchrun ends all ranks when one has died
            raise ended(lost[0].rank) from None

    @property
    def ranks(self) -> Sequence[Rank]:
        """All ranks."""
        return [self._rank, *(helper.rank for helper in self._helpers)]

    def start(self, works: Mapping[str, Work], given: Mapping[str, Any]) -> Each:
        """Let the other ranks prepare for the works; return the function that has tasks computed by all ranks."""
        for helper in self._helpers:
            helper.send(START, dict(given))
        return functools.partial(self._each, works)

    def _each(
        self, works: Mapping[str, Work], name: str, tasks: Iterable[Task], **settings: Any
    ) -> Iterator[tuple[Task, Any]]:
        """Yield the tasks with their results as they arrive. Raises the errors of ranks, TryAgainError if one dies."""
        job = _Job(name, settings, tasks)
        for helper in self._helpers:
            helper.thread.submit(self._hand_out, job, helper)
        try:
            for result in works[name](job.tasks(), **settings):
                yield result
                yield from job.results(wait=False)
        except RuntimeError as error:  # as of a sum over all ranks, when another one has failed
            raise job.cause_of(error) from error
        yield from job.results(wait=True)

    def _hand_out(self, job: "_Job", helper: "_Helper") -> None:
        """Hand out tasks to one other rank until there are none left, in a thread of its own."""
        try:
            helper.send(JOB, (job.name, job.settings))
            while True:
                kind, content = helper.receive()
                if kind == CLAIM:
                    helper.send(TASK, job.handed_out())
                elif kind == NOTE:
                    self._reporter.note(f"{helper.rank}: {content}")
                elif kind == WARNING:
                    if content not in self._reporter.warnings:  # all ranks warn of the same network
                        self._reporter.warn(content)
                elif kind == RESULT:
                    job.arrived.put((RESULT, content))
                elif kind == DONE:
                    return
                elif kind == ERROR:
                    helper.left = True
                    job.arrived.put((ERROR, content))
                    return
                elif kind == LEFT:
                    helper.left = True
                    time.sleep(SECONDS_FOR_SIGNAL)
                    raise EOFError
        except Exception:  # its connection has ended, perhaps within a message
            job.arrived.put((ERROR, ended(helper.rank)))


class _Job:
    """One piece of work that is shared out: every rank takes the next task when it is free."""

    def __init__(self, name: str, settings: dict[str, Any], tasks: Iterable[Task]) -> None:
        self.name = name
        self.settings = settings
        self.arrived: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        """RESULT or ERROR, with the task and its result, or the error."""
        self._tasks = iter(tasks)
        self._lock = threading.Lock()
        self._elsewhere = 0  # number of tasks that other ranks have taken, and whose results have not been yielded

    def tasks(self) -> Iterator[Task]:
        """Take one task after the other for this rank."""
        while (task := self._next()) is not None:
            yield task

    def handed_out(self) -> Task | None:
        """Take a task for another rank; None if none is left."""
        return self._next(elsewhere=1)

    def results(self, *, wait: bool) -> Iterator[tuple[Task, Any]]:
        """Yield the results of other ranks that have arrived. wait: also those of all tasks that they have taken."""
        while not self.arrived.empty() or (wait and self._elsewhere):
            signals.check()
            try:
                kind, content = self.arrived.get(timeout=SECONDS_BETWEEN_CHECKS)
            except queue.Empty:
                continue
            if kind == ERROR:
                raise content
            with self._lock:
                self._elsewhere -= 1
            yield content

    def cause_of(self, error: Exception) -> Exception:
        """Return the error of another rank that has made this one fail; the same error if there is none.

        The death of a rank makes all others fail, too.
        """
        errors = [error]
        with contextlib.suppress(queue.Empty):
            while True:
                kind, content = self.arrived.get(timeout=SECONDS_FOR_SIGNAL)
                if kind == ERROR:
                    errors.append(content)
        return next((each for each in errors if isinstance(each, DfalError)), errors[-1])

    def _next(self, elsewhere: int = 0) -> Task | None:
        with self._lock:
            task = next(self._tasks, None)
            self._elsewhere += elsewhere if task is not None else 0
            return task


class _Helper:
    """Another rank, as rank 0 sees it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        prepare(connection)
        self.rank: Rank = connection.recv()[1]
        self.left = False
        """Whether it has said that it ends: because of a signal, or of an error, such as that another rank has died."""
        self.thread = ThreadPoolExecutor(1, f"rank {self.rank.number}", _block_signals)
        """Waits for its messages, one job after the other: a rank may still be loading when the first job is done."""

    def send(self, kind: str, content: Any) -> None:
        """Send a message."""
        with self._sending:
            self._connection.send((kind, content))

    def receive(self) -> tuple[str, Any]:
        """Wait for a message."""
        message: tuple[str, Any] = self._connection.recv()
        return message

    def has_died(self) -> bool:
        """Return whether the connection has ended without a word."""
        if self.left:
            return False
        try:
            with socket_of(self._connection) as shared:
                return shared.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def end(self) -> None:
        """Tell the rank to end, and wake the thread that waits for its messages."""
        try:
            self.send(END, None)
            with socket_of(self._connection) as shared:
                shared.shutdown(socket.SHUT_RD)
        except OSError:  # it has ended
            pass
        self.thread.shutdown(wait=False, cancel_futures=True)


def _accepted(listener: Listener) -> Connection:
    """Return the connection of the next rank; other programs may connect too, but do not have the key."""
    while True:
        with contextlib.suppress(AuthenticationError, EOFError, ConnectionError):
            return listener.accept()


def _block_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signals.SIGNALS)  # the main thread handles signals
