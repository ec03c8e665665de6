"""The command `dfal label` as a process that can be killed, without the seconds that a new Python takes to start."""

import contextlib
import multiprocessing
import re
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

from dfal_cli.steps.label.options import LabelOptions
from dfal_cli.system.reporting import Silent

SECONDS_TO_START = 60


class Telling(Silent):
    """Sends the address of the page to another process."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__()
        self._pipe = pipe

    def note(self, text: str) -> None:
        if match := re.search(r"label in the browser: (\S+)", text):
            self._pipe.send(match[1])


class Running:
    """A page that is being served by a process of its own."""

    def __init__(self, process: Any, address: str) -> None:
        self.process, self.address = process, address

    def kill(self) -> None:
        """Kill the process, as `kill -9` does."""
        self.process.kill()
        self.process.join()


@contextlib.contextmanager
def running(options: LabelOptions) -> Iterator[Running]:
    """Run the command in a process of its own; it is killed at the end of the block."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["dfal_cli.steps.label.command"])
    here, there = context.Pipe()
    process = context.Process(target=_run, args=(options, there), daemon=True)
    process.start()
    assert here.poll(SECONDS_TO_START), "the page did not come up"
    page = Running(process, here.recv())
    try:
        yield page
    finally:
        page.kill()


def _run(options: LabelOptions, pipe: Connection) -> None:
    from dfal_cli.steps.label.command import label

    label(options, Telling(pipe))
