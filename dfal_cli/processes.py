"""Work in several processes side by side, none of which outlives the command."""

import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar, cast

from dfal_cli.errors import DfalError, TryAgainError
from dfal_cli.signals import SIGNALS

Task = TypeVar("Task")
Answer = TypeVar("Answer")

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

ANSWER, ERROR, READY = "answer", "error", "ready"


def cores() -> int:
    """How many cores this process may use, which may be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):  # on Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def side_by_side(
    work: Callable[[Task], Iterable[Answer]], tasks: list[Task], jobs: int
) -> Generator[Answer, None, None]:
    """Yield the answers of `work` to every task as they come, from at most `jobs` processes of one thread each.

    Tasks leave the list from its beginning; those that an answer leads to can be put into it when that has come.
    The processes are started anew (spawned), with one thread for arithmetic: what they compute does not depend on how
    many there are. Close the generator to end them; they also end when this process is killed.
    Raises what `work` raises, and TryAgainError if a process is killed.
    """
    if min(jobs, len(tasks)) == 1 and os.environ.get("OMP_NUM_THREADS") == "1":
        while tasks:  # this process is such a one, and has been started
            yield from work(tasks.pop(0))
        return
    processes: dict[Connection, BaseProcess] = {}
    idle: list[Connection] = []
    try:
        with _one_thread():
            for _ in range(min(jobs, len(tasks))):
                connection, process = _start(work)
                processes[connection] = process
        while len(idle) < len(processes):
            for ready in wait(list(processes)):  # an idle one has something to say if it is killed
                connection = cast(Connection, ready)
                kind, content = _receive(connection)
                if kind == ANSWER:
                    yield content
                elif kind == ERROR:
                    raise content
                else:
                    idle.append(connection)
            while tasks and idle:
                idle.pop().send(tasks.pop(0))
    finally:
        for process in processes.values():
            process.kill()  # nothing is lost: whole files are written, or none
        for process in processes.values():
            process.join()


def _start(work: Callable[[Task], Iterable[Answer]]) -> tuple[Connection, BaseProcess]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, work), daemon=True)
    resource_tracker.ensure_running()  # as starting a process would, which lets through what is blocked
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        process.start()  # and it keeps them blocked: they reach all processes of a terminal; this one sees to them
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    theirs.close()  # so that its end is seen here
    return ours, process


def _receive(connection: Connection) -> tuple[str, Any]:
    try:
        received: tuple[str, Any] = connection.recv()
    except (EOFError, ConnectionResetError):
        raise TryAgainError("a process was killed, mostly for want of memory; try again with fewer --jobs") from None
    return received


def _serve(connection: Connection, work: Callable[[Task], Iterable[Answer]]) -> None:
    """A process's life: take a task, send the answers, until killed."""
    os.dup2(2, 1)  # what a network of the user's own may print is no result
    try:
        threading.Thread(target=_end_with_parent, daemon=True).start()
        while True:
            connection.send((READY, None))
            for answer in work(connection.recv()):
                connection.send((ANSWER, answer))
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
