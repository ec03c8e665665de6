"""A folder that is removed while a command works for it: its lock goes with it, and another command may come in."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dfal_cli.errors import TryAgainError
from dfal_cli.files import atomic_output, locked
from tests.conftest import write
from tests.reliability.processes import names
from tests.reliability.test_locks import HOLDER


def write_first(out: Path) -> None:
    with atomic_output(out) as temporary:
        temporary.write_text("first")


def test_who_lost_the_lock_gives_way_to_who_holds_it_now(tmp_path: Path) -> None:
    out = tmp_path / "new/a.csv"
    with locked(out):
        shutil.rmtree(out.parent)
        second = subprocess.Popen([sys.executable, "-c", HOLDER, out], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with second:
            assert second.stdout is not None
            assert second.stdout.readline() == b"held\n"
            with pytest.raises(TryAgainError, match=r"was removed meanwhile.*run the same command again"):
                write_first(out)
            assert names(out.parent) == {".a.csv.lock"}
            second.communicate(b"")


def test_who_lost_the_lock_gives_way_to_who_has_written_meanwhile(tmp_path: Path) -> None:
    out = tmp_path / "new/a.csv"
    with locked(out):
        shutil.rmtree(out.parent)
        write(out, "second")
        with pytest.raises(TryAgainError, match="was removed meanwhile"):
            write_first(out)
    assert out.read_text() == "second\n"
    assert names(out.parent) == {"a.csv"}


def test_a_folder_that_was_removed_costs_no_work_where_nobody_else_came_in(tmp_path: Path) -> None:
    out = tmp_path / "new/a.csv"
    with locked(out):
        shutil.rmtree(out.parent)
        write_first(out)
    assert names(out.parent) == {"a.csv"}
