"""Processes side by side: how many there are when nobody says."""

import os
import subprocess
import sys

import pytest

from dfal_cli.processes import cores

ON_ONE_CORE = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from dfal_cli.processes import cores
print(cores())
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot tie a process to a core")
def test_a_process_that_is_tied_to_a_core_counts_that_one_only() -> None:
    told = subprocess.run([sys.executable, "-c", ON_ONE_CORE], capture_output=True, text=True, check=True)
    assert told.stdout == "1\n"
    assert 1 <= cores() <= (os.cpu_count() or 1)
