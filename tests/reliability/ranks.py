"""Commands in several processes, as torchrun starts them but for its start-up."""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tests.reliability.commands import start

SECONDS = 180
"""Ranks that have not ended then hang; on a busy machine a short training may take a minute."""


class Ranks:
    """Processes of one command."""

    def __init__(self, processes: list[ForkServerProcess], folder: Path) -> None:
        self.processes = processes
        self._folder = folder
        self._told_to_end = False

    def terminate(self) -> None:
        """Tell all to end, once."""
        if not self._told_to_end:
            for process in self.processes:
                process.terminate()
        self._told_to_end = True

    def ended(self) -> list[int | None]:
        """Wait until all have ended; return their exit codes. Like torchrun, end the others if one has failed."""
        deadline = time.monotonic() + SECONDS
        while any(process.is_alive() for process in self.processes) and time.monotonic() < deadline:
            time.sleep(0.1)
            if any(process.exitcode for process in self.processes):
                self.terminate()
                break
        for process in self.processes:
            process.join(max(0, deadline - time.monotonic()))
        assert not any(process.is_alive() for process in self.processes), "a rank does not end"
        return [process.exitcode for process in self.processes]

    def said(self) -> list[str]:
        """Return what each has printed so far."""
        files = [self._folder.parent / f"rank{number}.txt" for number in range(len(self.processes))]
        return [file.read_text() if file.exists() else "" for file in files]

    def wait_until(self, come: Callable[[], bool]) -> None:
        """Wait until it is so, or until they have ended."""
        deadline = time.monotonic() + SECONDS
        while not come() and any(process.is_alive() for process in self.processes):
            assert time.monotonic() < deadline, "it has not come to that"
            time.sleep(0.01)


@contextlib.contextmanager
def ranks(
    folder: Path, arguments: Sequence[object], count: int, first: Mapping[str, str] | None = None,
    own_machines: bool = False, **last: str,
) -> Iterator[Ranks]:  # fmt: skip
    """Start `dfal ARGUMENTS` as so many ranks; kill what is left of them after the block.

    first, last: environment variables of the first and of the last rank. own_machines: as if each had a machine.
    """
    of_rank = {0: first or {}, count - 1: last}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for old in folder.parent.glob("rank*.txt"):
        old.unlink()
    processes = []
    for number in range(count):
        local, local_of = (0, 1) if own_machines else (number, count)
        place = {"RANK": number, "WORLD_SIZE": count, "LOCAL_RANK": local, "LOCAL_WORLD_SIZE": local_of}
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        environment = {name: str(value) for name, value in {**place, **meeting, **of_rank.get(number, {})}.items()}
        processes.append(start(folder, arguments, f"rank{number}.txt", environment))
    try:
        yield Ranks(processes, folder)
    finally:
        for process in processes:
            process.kill()
            process.join()


def run_ranks(
    folder: Path, arguments: Sequence[object], count: int, own_machines: bool = False, **last: str
) -> list[str]:
    """Run a command as so many ranks, which must all end well; return what each has said."""
    with ranks(folder, arguments, count, None, own_machines, **last) as running:
        codes = running.ended()
        said = running.said()
    assert codes == [0] * count, "\n".join(said)
    return said
