"""A folder that is removed while a command works for it: its lock goes with it, and another command may come in."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dfal_cli.errors import TryAgainError
from dfal_cli.system import locks, parts
from dfal_cli.system.files import atomic_output, locked
from tests.conftest import dfal, write
from tests.reliability.processes import names
from tests.reliability.slow_scoring import command, make_project
from tests.reliability.test_locks import HOLDER

TRAINING = ("train", "--images", "images", "--labels", "labels.csv", "--arch", "slow_net:network", "--epochs", 2)


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
            with pytest.raises(TryAgainError, match=r"was removed, and another command.*run the same command again"):
                write_first(out)
            assert names(out.parent) == {".a.csv.lock"}
            second.communicate(b"")


def test_who_lost_the_lock_gives_way_to_who_has_written_meanwhile(tmp_path: Path) -> None:
    out = tmp_path / "new/a.csv"
    with locked(out):
        shutil.rmtree(out.parent)
        write(out, "second")
        with pytest.raises(TryAgainError, match="was removed, and another command"):
            write_first(out)
    assert out.read_text() == "second\n"
    assert names(out.parent) == {"a.csv"}


def test_a_folder_that_was_removed_costs_no_work_where_nobody_else_came_in(tmp_path: Path) -> None:
    out = tmp_path / "new/a.csv"
    with locked(out):
        shutil.rmtree(out.parent)
        write_first(out)
    assert names(out.parent) == {"a.csv"}


def test_who_comes_when_the_holder_removes_its_empty_folder_gets_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has made the folder, and then it is gone: the holder has ended between the two."""
    out = tmp_path / "new/a.csv"
    opened, left = locks._opened, ["the holder"]

    def removed_before(path: Path) -> int:
        if left:
            left.pop()
            path.parent.rmdir()
        return opened(path)

    monkeypatch.setattr(locks, "_opened", removed_before)
    with locked(out):
        write_first(out)
    assert out.read_text() == "first"
    assert not left


@pytest.mark.parametrize(
    ("words", "out"), [(command, "new/s.csv"), (lambda out: (*TRAINING, "--out", out), "new/m.safetensors")]
)
def test_a_folder_that_is_removed_while_dfal_works_for_it_is_made_again(
    words: Callable[[str], tuple[object, ...]], out: str, in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_project(in_tmp)
    assert dfal(*words(f"undisturbed/{Path(out).name}")).code == 0
    monkeypatch.setenv("FOLDER_REMOVED_AT", "15")
    done = dfal(*words(out))
    assert done.code == 0, done.stderr
    assert Path(out).read_bytes() == Path("undisturbed", Path(out).name).read_bytes()
    assert names(Path("new")) == names(Path("undisturbed"))


def test_parts_that_are_removed_meanwhile_are_computed_again_by_the_next_call(
    in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_project(in_tmp)
    assert dfal(*command("undisturbed.csv")).code == 0
    monkeypatch.setattr(parts, "SECONDS", 0)
    monkeypatch.setattr(parts, "SHARE", 1e9)
    with monkeypatch.context() as patch:
        patch.setenv("FOLDER_REMOVED_AT", "15")
        done = dfal(*command("new/s.csv"))
    assert done.code == 75, done.stderr
    assert "new/.s.csv.parts/pool-0000000000.part: missing or damaged; run the same command" in done.stderr
    assert dfal(*command("new/s.csv")).code == 0
    assert Path("new/s.csv").read_bytes() == Path("undisturbed.csv").read_bytes()
    assert names(Path("new")) == {"s.csv", "s.csv.meta.json", "s.csv.unreadable.csv"}
