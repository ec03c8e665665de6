"""Full, read-only and vanished disks, quotas and devices: said in a line or two, nothing lost, nothing left."""

import os
import resource
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MEANS, dfal, train_divided_folder, write
from tests.reliability.disks import fill, mounted, rationed
from tests.reliability.processes import ended, names, started

POOL = ("--images", "in/images", "--device", "cpu")

COMMANDS = {
    "train": ("train", *POOL, "--labels", "in/pool.csv", "--out", "small/m.safetensors", "--epochs", 2),
    "score": ("score", *POOL, "--checkpoint", "m.safetensors", "--out", "small/s.parquet"),
    "twins": (
        "score", *POOL, "--checkpoint", "m.safetensors", "--out", "s.parquet", "--twins", 20, "--nearest", 20,
        "--twins-dir", "small/twins",
    ),
    "select": ("select", "--images", "in/images", "--strategy", "random", "--count", 5, "--out", "small/q.csv"),
    "preview": (
        "select", "--images", "in/images", "--strategy", "random", "--count", 5, "--out", "q.csv", "--preview",
        "small/q.html",
    ),
    "merge": ("merge", "--queries", "answers.csv", "--labels", "small/labels.csv"),
    "embed": (
        "embed", *POOL, "--out", "small/e.parquet", "--backbone", "means:backbone", "--image-size", 64,
    ),
    "simulate": (
        "simulate", *POOL, "--labels", "in/pool.csv", "--test", "in/test.csv", "--out", "small/sim", "--initial", 4,
        "--count", 4, "--budget", 12, "--jobs", 1,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """in/ (a divided folder), m.safetensors, answers.csv, means.py."""
    root = train_divided_folder(tmp_path_factory.mktemp("disk"))
    write(root / "means.py", MEANS)
    write(root / "answers.csv", "image,label", "020.png,dark", "021.png,light")
    return root


@pytest.fixture
def house(made: Path, in_tmp: Path) -> Path:
    """The same, to be spoilt."""
    shutil.copytree(made, in_tmp, dirs_exist_ok=True)
    return in_tmp


@pytest.fixture
def small(house: Path) -> Iterator[Path]:
    """A disk of 64 kB with a labels file on it."""
    with mounted(house / "small"):
        shutil.copy("in/pool.csv", "small/labels.csv")
        yield Path("small")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_means_try_again_and_costs_nothing_that_was_there(small: Path, name: str) -> None:
    assert_told_to_make_room(
        small, name, "No space left on device; free some disk space and run the same command again"
    )


def assert_told_to_make_room(small: Path, name: str, said: str) -> None:
    fill(small)
    before = names(small)
    done = dfal(*COMMANDS[name], "--quiet")
    assert done.code == 75, done.stderr
    assert "small/" in done.stderr
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert Path("small/labels.csv").read_bytes() == Path("in/pool.csv").read_bytes()
    assert names(small) - before <= {"sim", "sim/.rounds", "twins"}, "folders at most"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_read_only_disk_is_a_place_that_cannot_be_written(small: Path, name: str) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    before = names(small)
    done = dfal(*COMMANDS[name], "--quiet")
    assert done.code == 2, done.stderr
    assert "small/" in done.stderr
    assert "Read-only file system" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert names(small) == before
    assert Path("small/labels.csv").read_bytes() == Path("in/pool.csv").read_bytes()


@pytest.mark.parametrize("name", ["embed", "score", "twins", "select"])
def test_what_is_up_to_date_on_a_read_only_disk_is_no_error(house: Path, name: str) -> None:
    with mounted(house / "small", size=2**20) as small:
        assert dfal(*COMMANDS[name]).code == 0
        subprocess.run(["mount", "-o", "remount,ro", small], check=True)
        done = dfal(*COMMANDS[name], "--json")
        assert (done.code, done.json["status"]) == (0, "up to date")
        (house / "in/images/000.png").unlink()
        done = dfal(*COMMANDS[name], "--quiet", "--force")
        assert (done.code, "small/" in done.stderr, "Read-only file system" in done.stderr) == (2, True, True)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_quota_that_is_used_up_means_try_again_and_costs_nothing_that_was_there(house: Path, name: str) -> None:
    with rationed(house / "small"):
        shutil.copy("in/pool.csv", "small/labels.csv")
        assert_told_to_make_room(Path("small"), name, "Disk quota exceeded; free some of the disk quota and run the")


def test_when_there_is_room_again_the_same_command_does_its_work(small: Path) -> None:
    fill(small)
    assert dfal(*COMMANDS["merge"]).code == 75
    (small / "filling").unlink()
    assert dfal(*COMMANDS["merge"]).code == 0
    assert names(small) == {"labels.csv"}
    assert "020.png,dark" in Path("small/labels.csv").read_text()


@pytest.mark.slow
def test_a_file_larger_than_allowed_means_try_again(house: Path) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    Path("small").mkdir()
    with started(*COMMANDS["train"], preexec_fn=limited) as process:
        done = ended(process)
    assert done.code == 75
    assert "small/m.safetensors: File too large; allow larger files (ulimit -f)" in done.stderr
    assert names(Path("small")) == set()


def test_a_disk_too_full_for_a_trainings_state_costs_a_warning(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dfal_cli.training import state as training_state

    monkeypatch.setattr(training_state, "SECONDS_BETWEEN", 0)
    fill(small)
    done = dfal(*COMMANDS["train"])
    assert done.code == 75, "the checkpoint finds no room, either"
    assert done.stderr.count("warning: ") == 1
    assert ".m.safetensors.training: No space left on device; an interrupted training" in done.stderr


def test_a_trainings_state_makes_room_for_the_checkpoint(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dfal_cli.training import state as training_state

    write_state = training_state.TrainingState.write
    room = []

    def write_and_fill(*arguments: Any) -> bool:
        written = write_state(*arguments)
        if written:
            fill(Path("small"))
            room.append(shutil.disk_usage("small").free)
        return written

    monkeypatch.setattr(training_state, "SECONDS_BETWEEN", 0)
    monkeypatch.setattr(training_state.TrainingState, "write", write_and_fill)
    with mounted(house / "small", size=2**20):
        done = dfal(*COMMANDS["train"])
        assert done.code == 0, done.stderr
        assert room == [0]
        assert names(Path("small")) == {"m.safetensors", "filling"}
        assert Path("small/m.safetensors").read_bytes() == Path("m.safetensors").read_bytes()


@pytest.mark.parametrize("state", ["full", "read-only"])
def test_a_cache_that_cannot_be_made_or_filled_costs_one_warning(small: Path, state: str) -> None:
    expected = dfal(*COMMANDS["score"][:-1], "expected.csv", "--quiet")
    assert expected.code == 0, expected.stderr
    if state == "full":
        fill(small)
    else:
        subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    done = dfal(*COMMANDS["score"][:-1], "s.csv", "--cache", "small/cache")
    assert done.code == 0, done.stderr
    assert done.stderr.count("warning: the cache small/cache cannot be ") == 1
    assert Path("s.csv").read_bytes() == Path("expected.csv").read_bytes()


def test_a_device_is_never_replaced_by_an_output(house: Path) -> None:
    os.mknod("null.csv", stat.S_IFCHR | 0o666, os.makedev(1, 7))
    for option, name in (("--out", "null.csv"), ("--labels", "null.csv")):
        command = COMMANDS["select" if option == "--out" else "merge"]
        done = dfal(*command[: command.index(option)], option, name)
        assert done.code == 2, done.stderr
        assert "null.csv" in done.stderr
        assert stat.S_ISCHR(Path("null.csv").stat().st_mode)


@pytest.mark.parametrize("name", ["train", "score"])
def test_images_that_vanish_are_named(house: Path, name: str) -> None:
    shutil.rmtree("in/images")
    done = dfal(*COMMANDS[name], "--quiet")
    assert (done.code, "in/images" in done.stderr) == (2, True)
    assert len(done.stderr.splitlines()) == 1
