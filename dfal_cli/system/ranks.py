"""Ranks: the processes that torchrun has started for one command, on one machine or several.

All run the same command line. Rank 0 leads: it runs the step, holds the locks, writes the outputs and alone speaks. The
others help it: they take tasks as they become free, and send the results. Whoever computes a task, its result is the
same, so the outputs are those of a single process. If any of them dies, all end, and the same command resumes from the
finished part, with any number of ranks.
"""

import os
import platform
from typing import NamedTuple

from dfal_cli.errors import TryAgainError

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""Environment variables that torchrun sets for each process."""

# Kinds of messages from rank 0 ...
START, JOB, TASK, END = "start", "job", "task", "end"
# ... and to rank 0.
HELLO, CLAIM, RESULT, DONE, NOTE, WARNING = "hello", "claim", "result", "done", "note", "warning"
ERROR, LEFT = "error", "left"


class Rank(NamedTuple):
    """One of several processes."""

    number: int
    of: int
    """Number of processes."""
    local: int
    """Its number among the processes of this machine."""
    local_of: int
    """Number of processes of this machine."""
    host: str

    @property
    def leads(self) -> bool:
        """Whether it is rank 0."""
        return self.number == 0

    def __str__(self) -> str:
        """Return "rank 1 on HOST"."""
        return f"rank {self.number} on {self.host}"


def this_rank() -> Rank | None:
    """Return which rank this process is; None unless it is one of several."""
    values = [os.environ.get(name, "") for name in VARIABLES]
    if not all(values) or values[1] == "1":
        return None
    number, of, local, local_of = map(int, values[:4])
    return Rank(number, of, local, local_of, platform.node())


def ended(rank: Rank) -> TryAgainError:
    """Return the error that a rank has ended before its work was done."""
    return TryAgainError(
        f"{rank} has ended before its work was done (killed, out of memory, or its machine has failed); run the same "
        "command again to resume, with any number of ranks"
    )
