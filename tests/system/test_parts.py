"""Parts: finished work of a long computation, on disk."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from dfal_cli.errors import DataError, TryAgainError
from dfal_cli.system import parts as module
from dfal_cli.system.device import BatchSizes, FittingBatches
from dfal_cli.system.files import atomic_output
from dfal_cli.system.part_files import concatenated
from dfal_cli.system.parts import Parts
from dfal_cli.system.reporting import Silent

MADE_FROM = {"settings": {"norm": "l2"}, "checkpoint": "abc"}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "scores.parquet"


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every batch is a part."""
    monkeypatch.setattr(module, "SECONDS", 0.0)
    monkeypatch.setattr(module, "SHARE", 1e9)


def add(parts: Parts, start: int, end: int, name: str = "pool") -> None:
    parts.section(name).add(start, end, {"numbers": np.arange(start, end)})


def numbers(parts: Parts) -> list[int]:
    return concatenated(list(parts.section("pool").blocks()))["numbers"].tolist()


def test_the_next_call_finds_the_parts_in_order_of_position(out: Path, at_once: None) -> None:
    first = Parts(out, MADE_FROM)
    for start in (4, 0, 8):
        add(first, start, start + 4)
    again = Parts(out, MADE_FROM)
    assert again.section("pool").finished == 12
    assert numbers(again) == list(range(12))


def test_a_part_is_written_after_some_seconds_or_bytes_and_not_before(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = Parts(out, MADE_FROM)
    add(parts, 0, 4)
    assert not parts.folder.exists()
    monkeypatch.setattr(module, "MOST_BYTES", 90)
    add(parts, 4, 12)
    assert [path.name for path in parts.folder.iterdir()] == ["pool-0000000000.part"]
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 3600)
    add(parts, 12, 13)
    assert len(list(parts.folder.iterdir())) == 2


def test_an_interrupted_call_writes_the_finished_work_of_every_section(out: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Parts(out, MADE_FROM) as parts:
        add(parts, 0, 4)
        add(parts, 8, 12)
        add(parts, 0, 2, "margins")
        raise KeyboardInterrupt
    again = Parts(out, MADE_FROM)
    assert (again.section("pool").finished, again.section("margins").finished) == (8, 2)


def test_a_short_call_writes_nothing_whether_it_succeeds_or_fails(out: Path) -> None:
    with Parts(out, MADE_FROM) as parts:
        add(parts, 0, 4)
    assert not parts.folder.exists()
    with pytest.raises(DataError), Parts(out, MADE_FROM) as parts:
        add(parts, 0, 4)
        raise DataError("too many images cannot be read")
    assert not parts.folder.exists()


def test_ranges_between_parts_are_found_one_by_one(out: Path, at_once: None) -> None:
    parts = Parts(out, MADE_FROM)
    add(parts, 4, 8)
    add(parts, 12, 16)
    section = Parts(out, MADE_FROM).section("pool")
    found = []
    at = 0
    while at < 20:
        end, part = section.next_range(at, 20)
        found.append((at, end, part is not None))
        at = end
    assert found == [(0, 4, False), (4, 8, True), (8, 12, False), (12, 16, True), (16, 20, False)]
    end, part = section.next_range(5, 7)
    assert (end, part and part.start) == (7, 4)


def test_parts_of_another_call_are_kept_until_the_first_part_is_written(out: Path, at_once: None) -> None:
    add(Parts(out, MADE_FROM), 0, 4)
    other = Parts(out, MADE_FROM | {"checkpoint": "def"})
    assert other.other_inputs == [MADE_FROM]
    assert other.section("pool").finished == 0
    other.write()
    assert Parts(out, MADE_FROM).section("pool").finished == 4
    add(other, 0, 2)
    assert Parts(out, MADE_FROM).section("pool").finished == 0
    assert Parts(out, MADE_FROM | {"checkpoint": "def"}).section("pool").finished == 2


@pytest.mark.parametrize("length", [0, 10, 31, 32, 33, 100, -1])
def test_a_truncated_part_counts_as_missing(out: Path, at_once: None, length: int) -> None:
    parts = Parts(out, MADE_FROM)
    add(parts, 0, 4)
    (file,) = parts.folder.iterdir()
    file.write_bytes(file.read_bytes()[:length])
    again = Parts(out, MADE_FROM)
    assert (again.damaged, again.section("pool").finished) == (1, 0)
    add(again, 0, 4)
    assert Parts(out, MADE_FROM).section("pool").finished == 4


def test_a_part_damaged_during_the_call_raises_try_again(out: Path, at_once: None) -> None:
    parts = Parts(out, MADE_FROM)
    add(parts, 0, 4)
    (file,) = parts.folder.iterdir()
    file.write_bytes(b"nonsense")
    with pytest.raises(TryAgainError, match="missing or damaged; run"):
        numbers(parts)


def test_the_smallest_batch_sizes_are_stored(out: Path, at_once: None) -> None:
    batches = FittingBatches(64, Silent())
    parts = Parts(out, MADE_FROM)
    parts.track_batch_sizes(batches)
    add(parts, 0, 64)
    batches.size = 32
    add(parts, 64, 128)
    assert Parts(out, MADE_FROM).batch_sizes == BatchSizes(64, 32)


def test_temporary_files_of_a_killed_call_are_removed_by_the_next_one(out: Path, at_once: None) -> None:
    parts = Parts(out, MADE_FROM)
    add(parts, 0, 4)
    (parts.folder / ".pool-0000000004.part.123.tmp").write_bytes(b"half a pa")
    assert [path.name for path in Parts(out, MADE_FROM).folder.iterdir()] == ["pool-0000000000.part"]


def test_temporary_files_of_a_running_command_are_left_alone(out: Path, at_once: None) -> None:
    parts = Parts(out, MADE_FROM)
    with atomic_output(parts.folder / "pool-0000000004.part") as temporary:
        Parts(out, MADE_FROM)
        assert temporary.exists()
        temporary.write_bytes(b"a part")


def test_a_pipe_counts_as_a_damaged_part(out: Path, at_once: None) -> None:
    parts = Parts(out, MADE_FROM)
    parts.folder.mkdir()
    os.mkfifo(parts.folder / "pool-0000000000.part")
    again = Parts(out, MADE_FROM)
    assert (again.damaged, again.section("pool").finished) == (1, 0)
    add(again, 0, 4)
    assert Parts(out, MADE_FROM).section("pool").finished == 4


def test_a_link_to_the_output_shares_the_parts_of_its_target(out: Path, at_once: None) -> None:
    add(Parts(out, MADE_FROM), 0, 4)
    out.touch()
    link = out.with_name("elsewhere.parquet")
    link.symlink_to(out)
    assert Parts(link, MADE_FROM).section("pool").finished == 4


def test_a_resumed_call_begins_with_the_batch_sizes_of_the_unfinished_one(out: Path, at_once: None) -> None:
    first = Parts(out, MADE_FROM)
    assert first.fitting_batches(None, 64, Silent()).sizes == (64, 64)
    batches = first.fitting_batches(32, 64, Silent())
    assert batches.sizes == (32, 32)
    batches.size = 8  # memory ran out
    add(first, 0, 4)
    assert Parts(out, MADE_FROM).fitting_batches(None, 64, Silent()).sizes == (32, 8)
    assert Parts(out, MADE_FROM).fitting_batches(32, 64, Silent()).sizes == (32, 8)
    assert Parts(out, MADE_FROM).fitting_batches(16, 64, Silent()).sizes == (16, 16)


def test_the_sections_of_earlier_calls_are_listed_by_name(out: Path, at_once: None) -> None:
    first = Parts(out, MADE_FROM)
    add(first, 0, 4, "second")
    add(first, 0, 4, "first")
    assert [section.name for section in Parts(out, MADE_FROM).sections] == ["first", "second"]
    assert Parts(out, MADE_FROM | {"checkpoint": "other"}).sections == []
