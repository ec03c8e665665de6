"""Lock files that another user left, or something else in their place: they block nobody, or the remedy is said."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfal_cli.errors import DfalError
from dfal_cli.system.files import locked
from tests.conftest import dfal, write
from tests.reliability.processes import names
from tests.reliability.test_locks import HOLDER


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder in which every user may write; pytest's own let no other user in."""
    if os.geteuid() != 0:
        pytest.skip("needs to become another user")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def locked_by_another_user(path: Path) -> str:
    """What another user who would lock it is told."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        told = "an error"
        try:
            os.setuid(65534)
            with locked(path):
                told = ""
        except DfalError as error:
            told = str(error)
        finally:
            os.write(writing, told.encode())
            os._exit(0)
    os.close(writing)
    os.waitpid(process, 0)
    with os.fdopen(reading) as pipe:
        return pipe.read()


def test_a_lock_file_that_another_users_killed_command_left_blocks_nobody(shared: Path) -> None:
    (shared / ".a.csv.lock").touch(mode=0o644)
    assert locked_by_another_user(shared / "a.csv") == ""
    assert names(shared) == set()


def test_nor_does_one_of_a_user_who_shares_nothing(shared: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, shared / "a.csv"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, umask=0o077
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert f"is being written by process {process.pid} on " in locked_by_another_user(shared / "a.csv")
        process.kill()
    assert locked_by_another_user(shared / "a.csv") == ""
    assert names(shared) == set()


def test_a_lock_file_that_cannot_be_opened_is_named_with_the_remedy(shared: Path) -> None:
    (shared / ".a.csv.lock").touch(mode=0o600)
    said = locked_by_another_user(shared / "a.csv")
    assert said.startswith(f"{shared}/.a.csv.lock: the lock of a.csv cannot be opened: Permission denied; remove it if")


def test_a_file_that_may_not_be_written_is_not_replaced_either(shared: Path) -> None:
    """Its folder may be written, so it could be."""
    file = shared / "labels.csv"
    file.write_text("mine")
    file.chmod(0o444)
    assert f"{file}: is not writable; change its permissions (chmod), or choose another path" in locked_by_another_user(
        file
    )
    assert file.read_text() == "mine"


def test_a_link_in_the_place_of_a_lock_is_not_followed(tmp_path: Path) -> None:
    victim = write(tmp_path / "victim", "precious")
    (tmp_path / ".a.csv.lock").symlink_to(victim)
    done = dfal("merge", "--queries", write(tmp_path / "q.csv", "image,label"), "--labels", tmp_path / "a.csv")
    assert done.code == 2
    assert victim.read_text() == "precious\n"
