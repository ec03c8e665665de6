"""A command in several processes that torchrun has started: rank 0 runs it, the others help and are silent."""

import importlib
import sys
from typing import Any

from dfal_cli.cli.streams import print_error, unmute
from dfal_cli.errors import DfalError, TryAgainError, UsageError
from dfal_cli.system.ranks import Rank, ended
from dfal_cli.system.reporting import Silent

SHARED = ("train", "score", "embed", "predict")
"""Commands whose work is shared out among ranks."""


def lead(rank: Rank, name: str, options: Any, reporter: Silent) -> Any:
    """Run the step of a command as rank 0, with the other ranks as its crew; return its result."""
    if name not in SHARED:
        raise UsageError(f"runs in one process; start it without torchrun (only {', '.join(SHARED)} use several)")
    from dfal_cli.system.leading import Leader
    from dfal_cli.system.meeting import meeting

    step = getattr(importlib.import_module(f"dfal_cli.steps.{name}.command"), name)
    with meeting(rank, options.device), Leader(rank, reporter) as crew:
        return step(options, reporter, crew=crew)


def follow(rank: Rank, name: str, options: Any) -> None:
    """Help rank 0 with a command. Errors are rank 0's to tell.

    Rank 1 speaks if rank 0 dies, and the first rank of a machine if it does not meet the others.
    """
    if name not in SHARED:
        return
    from dfal_cli.system.helping import LeaderEndedError, ToldError, help_leader
    from dfal_cli.system.meeting import meeting

    works_of = importlib.import_module(f"dfal_cli.steps.{name}.helping").works_of
    try:
        with meeting(rank, options.device):
            help_leader(rank, lambda given, reporter: works_of(options, given, reporter))
    except LeaderEndedError as error:
        if rank.number == 1:
            unmute()
            print_error(f"dfal {name}: {ended(error.leader)}")
        sys.exit(TryAgainError.exit_code)
    except ToldError:  # no exit code, by which torchrun would end rank 0 before it has told the error
        return
    except DfalError as error:  # the ranks have not met; rank 0 knows only what is wrong on its own machine
        if rank.local == 0:
            unmute()
            print_error(f"dfal {name}: {error}")
        sys.exit(error.exit_code)
    except Exception:
        unmute()
        raise
