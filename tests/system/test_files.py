"""Whole files or none, and locks."""

import os
from pathlib import Path

import pytest

from dfal_cli.errors import TryAgainError, UsageError
from dfal_cli.system.files import atomic_output, beside, locked


class Killed(BaseException):
    """Like KeyboardInterrupt: no ordinary error."""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_output_takes_its_place_when_it_is_whole(tmp_path: Path) -> None:
    with atomic_output(tmp_path / "new" / "a.csv") as temporary:
        temporary.write_text("whole")
        assert names(tmp_path / "new") == [temporary.name]
    assert (tmp_path / "new" / "a.csv").read_text() == "whole"
    assert names(tmp_path / "new") == ["a.csv"]


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, SystemExit, Killed])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "a.csv").write_text("old")
    with pytest.raises(error), atomic_output(tmp_path / "a.csv") as temporary:
        temporary.write_text("half")
        raise error
    assert (tmp_path / "a.csv").read_text() == "old"
    assert names(tmp_path) == ["a.csv"]


def test_a_failure_before_anything_was_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError), atomic_output(tmp_path / "a.csv"):
        raise ValueError
    assert names(tmp_path) == []


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o444])
def test_a_replaced_file_keeps_its_permissions(tmp_path: Path, mode: int) -> None:
    (tmp_path / "a.csv").write_text("old")
    (tmp_path / "a.csv").chmod(mode)
    with atomic_output(tmp_path / "a.csv") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "a.csv").stat().st_mode & 0o777 == mode


def test_a_new_file_has_the_permissions_of_any_other_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    with atomic_output(tmp_path / "a.csv") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "a.csv").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_an_output_that_is_a_link_stays_a_link_to_the_new_contents(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    with atomic_output(tmp_path / "link.csv") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "new"


@pytest.mark.parametrize("name", ["a.csv", "a[1]*?.csv"])
def test_what_a_killed_command_left_behind_is_removed_by_the_next(tmp_path: Path, name: str) -> None:
    with atomic_output(tmp_path / name) as temporary:
        temporary.write_text("")
        leftover = temporary.name.replace(str(os.getpid()), "99999999")
    for other in (leftover, f".other{leftover}", "mine.tmp", f"{name}.tmp"):
        (tmp_path / other).write_text("")
    with locked(tmp_path / name):
        assert names(tmp_path) == sorted([f".{name}.lock", f".other{leftover}", "mine.tmp", f"{name}.tmp", name])


def test_a_held_lock_raises_try_again_and_a_released_one_does_not(tmp_path: Path) -> None:
    with locked(tmp_path / "a.csv"), pytest.raises(TryAgainError, match=r"a\.csv"), locked(tmp_path / "a.csv"):
        pytest.fail("two commands write the same file")
    with locked(tmp_path / "a.csv"), locked(tmp_path / "b.csv"):
        pass
    with locked(tmp_path / "a.csv"):
        pass


@pytest.mark.parametrize("length", [226, 249, 255])
def test_a_name_too_long_for_its_companions_is_refused_at_once(tmp_path: Path, length: int) -> None:
    with locked(tmp_path / ("a" * 225)), atomic_output(tmp_path / ("a" * 225 + ".labelled.parquet")):
        pass
    with pytest.raises(UsageError, match="the name is too long; choose one of at most 225 bytes"):
        locked(tmp_path / ("a" * length)).__enter__()
    assert names(tmp_path) == ["a" * 225 + ".labelled.parquet"]


def test_the_root_of_the_file_system_is_refused_as_an_output() -> None:
    with pytest.raises(UsageError, match="/: is the root of the file system"):
        locked(Path("/"), folder=True).__enter__()


def test_folders_created_for_an_output_are_removed_if_it_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(Killed), locked(tmp_path / "mine/new/newer/a.csv"):
        assert (tmp_path / "mine/new/newer").is_dir()
        raise Killed
    assert names(tmp_path / "mine") == []
    with locked(tmp_path / "mine/new/newer/a.csv"):
        (tmp_path / "mine/new/b.csv").touch()
    assert names(tmp_path / "mine/new") == ["b.csv"]


def test_a_loop_of_links_is_refused_as_an_output(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to("a.csv")
    with pytest.raises(UsageError, match=r"a\.csv: is a loop of symbolic links"):
        locked(tmp_path / "a.csv").__enter__()


def test_a_lock_is_released_when_its_block_fails(tmp_path: Path) -> None:
    with pytest.raises(Killed), locked(tmp_path / "a.csv"):
        raise Killed
    with locked(tmp_path / "a.csv"):
        pass


def test_a_companion_is_in_the_folder_of_its_output() -> None:
    assert beside(Path("a/b.csv"), ".meta.json") == Path("a/b.csv.meta.json")
