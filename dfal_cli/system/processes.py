"""Parallel work in several processes, none of which outlives the command."""

import contextlib
import importlib
import itertools
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Self, TypeVar, cast

from dfal_cli.errors import DfalError, TryAgainError
from dfal_cli.system.ranks import this_rank
from dfal_cli.system.signals import SIGNALS

Task = TypeVar("Task")
Result = TypeVar("Result")

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

WORK, TASK = "work", "task"
RESULT, ERROR, READY = "result", "error", "ready"
"""Kinds of messages to a process, and from it."""


def cores() -> int:
    """Return the number of cores this process may use, which may be fewer than the machine has. Ranks share them."""
    rank = this_rank()
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, allowed // (rank.local_of if rank else 1))


def computes_in_one_thread() -> bool:
    """Return whether this process computes in one thread, as `Processes` do, so that it can replace a single one."""
    return os.environ.get("OMP_NUM_THREADS") == "1"


class Processes:
    """A pool of processes that ends with the block, or when this process is killed.

    The processes are spawned and compute in one thread each, so that results do not depend on their number.
    """

    def __init__(self, preload: str = "") -> None:
        """preload: a module that each process imports when it starts."""
        self._preload = preload
        self._processes: dict[Connection, BaseProcess] = {}
        self._idle: list[Connection] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.kill()  # files are written atomically, so none is left incomplete
        for process in self._processes.values():
            process.join()

    def start(self, count: int) -> None:
        """Start processes until there are `count`."""
        with _one_thread(), _signals_blocked():
            while len(self._processes) < count:
                connection, process = _start(self._preload)
                self._processes[connection] = process

    def call(self, function: Callable[[], Result]) -> Result:
        """Call a function in one of the processes and return its result. Raises the errors of `each`."""
        (result,) = self.each([_call], [function])
        return result

    def each(self, works: Sequence[Callable[[Task], Iterable[Result]]], tasks: list[Task]) -> Iterator[Result]:
        """Yield the results of `work(task)` for every task as they arrive; computed here if no process was started.

        works: for the first process, the second, and so on; from the first again if there are more processes.
        Tasks are taken from the beginning of the list. The caller may append tasks while it receives results.
        Raises the errors of the works, and TryAgainError if a process is killed.
        """
        if not self._processes:
            while tasks:
                yield from works[0](tasks.pop(0))
            return
        work_of = dict(zip(self._processes, itertools.cycle(works), strict=False))
        have_work: set[Connection] = set()
        busy: set[Connection] = set()
        while tasks or busy:
            while tasks and self._idle:
                connection = self._idle.pop()
                if connection not in have_work:
                    _send(connection, WORK, work_of[connection])
                _send(connection, TASK, tasks.pop(0))
                have_work.add(connection)
                busy.add(connection)
            for ready in wait(list(self._processes)):  # idle ones, too: their connection ends when they are killed
                connection = cast(Connection, ready)
                kind, content = _receive(connection)
                if kind == RESULT:
                    yield content
                elif kind == ERROR:
                    raise content
                else:
                    busy.discard(connection)
                    self._idle.append(connection)


def _call(function: Callable[[], Result]) -> Iterator[Result]:
    yield function()


def _start(preload: str) -> tuple[Connection, BaseProcess]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, preload), daemon=True)
    process.start()
    theirs.close()  # so that our end sees the end of the process
    return ours, process


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """Delay signals until the block ends, and start processes with signals blocked.

    A terminal sends signals to all processes; only this process must handle them, and it ends the others.
    """
    resource_tracker.ensure_running()  # starting it later, with the first process, would unblock the signals
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _send(connection: Connection, kind: str, content: Any) -> None:
    with _reporting_killed_process():
        connection.send((kind, content))


def _receive(connection: Connection) -> tuple[str, Any]:
    with _reporting_killed_process():
        received: tuple[str, Any] = connection.recv()
    return received


@contextlib.contextmanager
def _reporting_killed_process() -> Iterator[None]:
    try:
        yield
    except (EOFError, ConnectionError):
        raise TryAgainError("a process was killed, probably for lack of memory; try again with fewer --jobs") from None


def _serve(connection: Connection, preload: str) -> None:
    """Run the main loop of a process: receive the work and tasks, and send results, until the process is killed."""
    os.dup2(2, 1)  # the user's own network may print to stdout, which is only for results
    work: Callable[[Any], Iterable[Any]] = _call
    try:
        threading.Thread(target=_end_with_parent, daemon=True).start()
        if preload:
            importlib.import_module(preload)
        _reply(connection, READY)
        while True:
            kind, content = _await(connection)
            if kind == WORK:
                work = content
                continue
            for result in work(content):
                _reply(connection, RESULT, result)
            _reply(connection, READY)
    except (DfalError, OSError, MemoryError) as error:
        _reply(connection, ERROR, error)
    except Exception:
        _reply(connection, ERROR, RuntimeError(f"in another process:\n{traceback.format_exc()}"))


def _reply(connection: Connection, kind: str, content: Any = None) -> None:
    with _ending_with_connection():
        connection.send((kind, content))


def _await(connection: Connection) -> tuple[str, Any]:
    with _ending_with_connection():
        received: tuple[str, Any] = connection.recv()
    return received


@contextlib.contextmanager
def _ending_with_connection() -> Iterator[None]:
    """End this process silently if the parent is gone: nobody waits for the result or an error message."""
    try:
        yield
    except (EOFError, ConnectionError):
        os._exit(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Make processes started in the block compute in one thread: the rounding of sums depends on the thread count."""
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
