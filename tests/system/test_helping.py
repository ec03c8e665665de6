"""A rank that helps rank 0, at the end of the work."""

import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, Listener

import pytest

from dfal_cli.system import helping
from dfal_cli.system.helping import LeaderEndedError, help_leader
from dfal_cli.system.ranks import END, HELLO, START, Rank

FIRST, SECOND = (Rank(number, 2, number, 2, "host") for number in range(2))


@pytest.fixture
def helped(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Connection], None]], None]:
    """A function that lets a rank help a rank 0, which does what it is given; a note is sent at the end."""

    def run(lead: Callable[[Connection], None]) -> None:
        ended = threading.Event()

        def leading(listener: Listener) -> None:
            with listener.accept() as connection:
                assert connection.recv()[0] == HELLO
                lead(connection)
            ended.set()

        class Works(dict):
            def __enter__(self) -> dict:
                return self

            def __exit__(self, *error: object) -> None:
                assert ended.wait(10)
                self["reporter"].note("600 of 600 images came from the cache")

        with Listener(("127.0.0.1", 0), authkey=b"key") as listener:
            monkeypatch.setattr(helping, "told_by_leader", lambda: (FIRST, listener.address, b"key"))
            thread = threading.Thread(target=leading, args=(listener,))
            thread.start()
            try:
                help_leader(SECOND, lambda given, reporter: Works(reporter=reporter))
            finally:
                thread.join()

    return run


def test_a_note_after_the_end_of_the_work_is_no_death_of_rank_0(helped: Callable[..., None]) -> None:
    def lead(connection: Connection) -> None:
        connection.send((START, {}))
        connection.send((END, None))

    helped(lead)


def test_a_rank_0_that_ends_without_a_word_has_died(helped: Callable[..., None]) -> None:
    with pytest.raises(LeaderEndedError):
        helped(lambda connection: connection.send((START, {})))
