"""What no argument can be, whichever command and option it is meant for."""

import re
from collections.abc import Sequence
from itertools import pairwise

from dfal_cli.errors import UsageError

LEFT_EMPTY = re.compile(r"(--[a-z-]+)=")
"""An option with its value in one argument, and no value."""


def check_arguments(arguments: Sequence[str]) -> None:
    """Raises UsageError: one is not UTF-8, or empty (taken for a path, that would mean the working directory)."""
    for before, argument in pairwise(arguments):
        if argument.encode(errors="replace").decode() != argument:
            raise UsageError(f"{argument!r} is not UTF-8, and no file could name it; rename it")
        left_empty = LEFT_EMPTY.fullmatch(argument)
        if left_empty or not argument:
            raise UsageError(f"nothing stands after {left_empty[1] if left_empty else before}: is a variable not set?")
