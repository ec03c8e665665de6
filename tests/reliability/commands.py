"""Commands as processes that can be killed, started from a server that has imported torch already.

They are the real thing but for their start-up, which would take most of the time and get most of the kills.
"""

import importlib
import math
import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    [
        "torch",
        "dfal_cli.cli",
        "dfal_cli.steps.train.command",
        "dfal_cli.steps.train.network",
        "dfal_cli.steps.train.leading",
        "dfal_cli.steps.train.helping",
        "sklearn.linear_model",
        "dfal_cli.steps.score.pixels",
        "dfal_cli.steps.predict.pixels",
        "dfal_cli.steps.select.command",
        "dfal_cli.steps.merge.command",
        "dfal_cli.steps.embed.command",
        "dfal_cli.cli.ranks",
        "dfal_cli.system.leading",
        "dfal_cli.system.helping",
    ]
)


EAGER = {
    ("dfal_cli.training.state", "SECONDS_BETWEEN"): 0.0,
    ("dfal_cli.training.state", "LARGEST_SHARE"): math.inf,
    ("dfal_cli.system.parts", "SECONDS"): 0.0,
    ("dfal_cli.system.parts", "SHARE"): math.inf,
}
"""What a command as short as these keeps to go on from: all that it can."""


def start(
    folder: Path, arguments: Sequence[object], said: str = "stderr.txt", environment: Mapping[str, str] | None = None
) -> ForkServerProcess:
    """Start `dfal ARGUMENTS` in a folder; what it says goes to a file beside that folder."""
    words = [*map(str, arguments)]
    process = SERVER.Process(target=_command, args=(folder, words, folder.parent / said, dict(environment or {})))
    process.start()
    return process


def run(folder: Path, arguments: Sequence[object]) -> str:
    """Run a command to its end, which must be a good one; return what it said."""
    process = start(folder, arguments)
    process.join()
    said = (folder.parent / "stderr.txt").read_text()
    assert process.exitcode == 0, said
    return said


def _command(folder: Path, arguments: list[str], said: Path, environment: dict[str, str]) -> None:
    from dfal_cli.cli import main

    os.environ.update(environment)
    os.chdir(folder)
    handle = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(handle, stream)
    for (module, name), value in EAGER.items():
        setattr(importlib.import_module(module), name, value)
    sys.argv = ["dfal", *arguments]
    main()
