"""Work in several processes side by side, none of which outlives the command."""

import contextlib
import importlib
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Self, TypeVar, cast

from dfal_cli.errors import DfalError, TryAgainError
from dfal_cli.system.signals import SIGNALS

Task = TypeVar("Task")
Answer = TypeVar("Answer")

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

WORK, TASK = "work", "task"
ANSWER, ERROR, READY = "answer", "error", "ready"


def cores() -> int:
    """How many cores this process may use, which may be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):  # on Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def computes_in_one_thread() -> bool:
    """Whether this process does as `Processes` do: where one of them would be enough, it may be this one."""
    return os.environ.get("OMP_NUM_THREADS") == "1"


class Processes:
    """Processes of one thread each, which do one work after the other side by side, until the block ends.

    They are started anew (spawned), with one thread for arithmetic: what they compute does not depend on how many
    there are. They also end when this process is killed.
    """

    def __init__(self, importing: str = "") -> None:
        """importing: a module that each begins with, before it is given anything to do."""
        self._importing = importing
        self._processes: dict[Connection, BaseProcess] = {}
        self._idle: list[Connection] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.kill()  # nothing is lost: whole files are written, or none
        for process in self._processes.values():
            process.join()

    def start(self, count: int) -> None:
        """Let there be so many."""
        with _one_thread(), _signals_blocked():
            while len(self._processes) < count:
                connection, process = _start(self._importing)
                self._processes[connection] = process

    def ask(self, function: Callable[[], Answer]) -> Answer:
        """What the function returns, called in one of the processes. Raises as `each`."""
        (answer,) = self.each(_answer, [function])
        return answer

    def each(self, work: Callable[[Task], Iterable[Answer]], tasks: list[Task]) -> Iterator[Answer]:
        """Yield the answers of `work` to every task as they come, computed here if no process has been started.

        Tasks leave the list from its beginning; those that an answer leads to can be put into it when that has come.
        Raises what `work` raises, and TryAgainError if a process is killed.
        """
        if not self._processes:
            while tasks:
                yield from work(tasks.pop(0))
            return
        told: set[Connection] = set()
        busy: set[Connection] = set()
        while tasks or busy:
            while tasks and self._idle:
                connection = self._idle.pop()
                if connection not in told:
                    _send(connection, WORK, work)
                _send(connection, TASK, tasks.pop(0))
                told.add(connection)
                busy.add(connection)
            for ready in wait(list(self._processes)):  # an idle one has something to say if it is killed
                connection = cast(Connection, ready)
                kind, content = _receive(connection)
                if kind == ANSWER:
                    yield content
                elif kind == ERROR:
                    raise content
                else:
                    busy.discard(connection)
                    self._idle.append(connection)


def _answer(function: Callable[[], Answer]) -> Iterator[Answer]:
    yield function()


def _start(importing: str) -> tuple[Connection, BaseProcess]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, importing), daemon=True)
    process.start()
    theirs.close()  # so that its end is seen here
    return ours, process


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """They come when the block ends. Processes started in it keep them blocked: they reach all processes of a terminal,
    and this one sees to the others, of which it knows by then.
    """
    resource_tracker.ensure_running()  # as starting a process would, which lets through what is blocked
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _send(connection: Connection, kind: str, content: Any) -> None:
    with _killing_noticed():
        connection.send((kind, content))


def _receive(connection: Connection) -> tuple[str, Any]:
    with _killing_noticed():
        received: tuple[str, Any] = connection.recv()
    return received


@contextlib.contextmanager
def _killing_noticed() -> Iterator[None]:
    try:
        yield
    except (EOFError, ConnectionError):
        raise TryAgainError("a process was killed, mostly for want of memory; try again with fewer --jobs") from None


def _serve(connection: Connection, importing: str) -> None:
    """A process's life: be told what the work is, take a task, send the answers, until killed."""
    os.dup2(2, 1)  # what a network of the user's own may print is no result
    work: Callable[[Any], Iterable[Any]] = _answer
    try:
        threading.Thread(target=_end_with_parent, daemon=True).start()
        if importing:
            importlib.import_module(importing)
        connection.send((READY, None))
        while True:
            kind, content = connection.recv()
            if kind == WORK:
                work = content
                continue
            for answer in work(content):
                connection.send((ANSWER, answer))
            connection.send((READY, None))
    except (DfalError, OSError, MemoryError) as error:
        connection.send((ERROR, error))
    except Exception:
        connection.send((ERROR, RuntimeError(f"in another process:\n{traceback.format_exc()}")))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Processes started in the block compute in one thread each: sums over more come out otherwise."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
