"""The other ranks: compute the tasks that rank 0 hands out, until it is done."""

import contextlib
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from multiprocessing.connection import Client, Connection
from typing import Any, NoReturn

from dfal_cli.errors import DfalError, Interrupted, TryAgainError
from dfal_cli.system.crew import Task, Work
from dfal_cli.system.meeting import prepare, told_by_leader
from dfal_cli.system.ranks import (
    CLAIM,
    DONE,
    END,
    ERROR,
    HELLO,
    JOB,
    LEFT,
    NOTE,
    RESULT,
    START,
    TASK,
    WARNING,
    Rank,
)
from dfal_cli.system.reporting import Silent

SECONDS_TO_NOTICE = 1.0
"""The death of rank 0 is noticed within this time after a computation that needed it has failed."""

WorksOf = Callable[[Mapping[str, Any], Silent], AbstractContextManager[Mapping[str, Work]]]
"""(what rank 0 has given, a reporter) -> the works of this process, for a block."""


class LeaderEndedError(Exception):
    """Rank 0, which it carries, has ended without a word."""

    def __init__(self, leader: Rank) -> None:
        super().__init__(str(leader))
        self.leader = leader


class ToldError(Exception):
    """This rank has failed, and rank 0 has been told why."""


class _WorkIsDoneError(Exception):
    """Rank 0 is done."""


def help_leader(rank: Rank, works_of: WorksOf) -> None:
    """Compute tasks until rank 0 is done. Raises LeaderEndedError if it dies, ToldError after an error sent to it."""
    first, address, key = told_by_leader()
    with _connected(rank, first, address, key) as connection:
        leader = _Leader(connection, first)
        with contextlib.suppress(_WorkIsDoneError):
            leader.send(HELLO, rank)
            try:
                with works_of(leader.receive(START), _Passing(leader)) as works:
                    while True:
                        name, settings = leader.receive(JOB)
                        for result in works[name](leader.tasks(), **settings):
                            leader.send(RESULT, result)
                        leader.send(DONE)
            except (DfalError, OSError, MemoryError) as error:
                leader.tell(error)
            except Interrupted:
                leader.send(LEFT)
                raise
            except (_WorkIsDoneError, LeaderEndedError):
                raise
            except Exception:
                leader.tell(RuntimeError(f"on {rank}:\n{traceback.format_exc()}"))


def _connected(rank: Rank, first: Rank, address: tuple[str, int], key: bytes) -> Connection:
    """Connect to rank 0. Raises TryAgainError if its machine cannot be reached, LeaderEndedError if it dies."""
    try:
        return Client(address, authkey=key)
    except EOFError:
        raise LeaderEndedError(first) from None
    except OSError as error:
        where = f"{first} at {address[0]}:{address[1]}"
        raise TryAgainError(f"{rank} cannot reach {where}: {error.strerror} (see `dfal docs ranks`)") from None


class _Leader:
    """Rank 0, as another rank sees it."""

    def __init__(self, connection: Connection, rank: Rank) -> None:
        self._connection = connection
        self._rank = rank
        self._early: deque[tuple[str, Any]] = deque()  # messages received before they were expected
        self._is_done = False
        prepare(connection)

    def send(self, kind: str, content: Any = None) -> None:
        """Send a message, unless rank 0 is done. Raises _WorkIsDoneError, LeaderEndedError."""
        if self._is_done:  # a note about the work that has been done
            return
        with self._noticing_its_end():
            while self._connection.poll():
                self._early.append(self._received())
            self._connection.send((kind, content))

    def tell(self, error: Exception) -> NoReturn:
        """Send an error. Raises ToldError; LeaderEndedError if the death of rank 0 may have caused it."""
        with contextlib.suppress(_WorkIsDoneError), self._noticing_its_end():
            self.send(ERROR, error)
            while self._connection.poll(SECONDS_TO_NOTICE):
                self._received()
        raise ToldError

    def receive(self, expected: str) -> Any:
        """Wait for a message and return its content. Raises _WorkIsDoneError, LeaderEndedError."""
        with self._noticing_its_end():
            kind, content = self._early.popleft() if self._early else self._received()
        assert kind == expected, f"{kind} instead of {expected}"
        return content

    def tasks(self) -> Iterator[Task]:
        """Claim one task after the other, until there are none left."""
        while True:
            self.send(CLAIM)
            task = self.receive(TASK)
            if task is None:
                return
            yield task

    def _received(self) -> tuple[str, Any]:
        message: tuple[str, Any] = self._connection.recv()
        if message[0] == END:
            self._is_done = True
            raise _WorkIsDoneError
        return message

    @contextlib.contextmanager
    def _noticing_its_end(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError):
            with contextlib.suppress(EOFError, OSError):
                while True:
                    self._received()  # rank 0 may have said that it is done
            raise LeaderEndedError(self._rank) from None


class _Passing(Silent):
    """A reporter that passes notes and warnings on to rank 0, which alone speaks."""

    def __init__(self, leader: _Leader) -> None:
        super().__init__()
        self._leader = leader

    def note(self, text: str) -> None:
        """Pass the note on."""
        self._leader.send(NOTE, text)

    def warn(self, text: str) -> None:
        """Pass the warning on."""
        self._leader.send(WARNING, text)
