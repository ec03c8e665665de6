"""The size limit of the cache, eviction, and full disks."""

import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from dfal_cli.cli.console import Log
from dfal_cli.errors import UsageError
from dfal_cli.images import cached, read_from_disk
from dfal_cli.images.cache_space import KEPT_SECONDS, bytes_of
from dfal_cli.system.reporting import Silent
from tests.images.cached_reading import age, names, read, segments, size_of_cache


def test_the_cache_stays_within_its_limit_and_keeps_its_images(house: Path) -> None:
    assert read(limit="8kB") == names()
    assert 4000 < size_of_cache() <= 8000
    held = set(names()) - set(read(limit="8kB"))
    assert len(held) > 12
    for _ in range(3):  # no night pushes out what the next one is about to read
        assert set(names()) - set(read(limit="8kB")) == held


def test_a_full_cache_is_reported_once(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read(limit="3kB", reporter=Log())
    assert capsys.readouterr().err.count("the cache cache is full") == 1


def test_segments_unused_for_days_are_evicted_the_oldest_first(house: Path) -> None:
    read(limit="8kB", shape=(1, 8, 8))
    first = segments()
    age(KEPT_SECONDS + 100)
    os.utime(first[0], (0, 0))
    decoded = read(names()[:4], limit="8kB")  # there is room for these if little goes
    assert decoded == names()[:4]
    assert first[0] not in segments()
    assert set(first[2:]) <= set(segments())
    read(limit="8kB")
    assert size_of_cache() <= 8000
    assert len(read(limit="8kB")) < 30  # and the new is there


def test_reading_an_image_counts_as_a_use_of_its_segment(house: Path) -> None:
    read(limit="8kB", shape=(1, 8, 8))
    age(KEPT_SECONDS + 100)
    read(limit="8kB", shape=(1, 8, 8))
    before = segments()
    read(limit="8kB")
    assert set(before) <= set(segments())


def test_a_lowered_limit_is_enforced(house: Path) -> None:
    read(limit="40kB")
    assert size_of_cache() > 10_000
    read(limit="6kB")
    assert size_of_cache() <= 6000


@pytest.mark.parametrize(("text", "number"), [
    ("10GB", 10**10), ("500MB", 5 * 10**8), ("1.5 tb", 1_500_000_000_000), ("20k", 20_000), (" 3g ", 3 * 10**9),
    ("0kB", 0),
])  # fmt: skip
def test_a_limit_is_a_number_and_a_unit(text: str, number: int) -> None:
    assert bytes_of(text) == number


@pytest.mark.parametrize("text", ["", "10", "GB", "-1GB", "ten GB", "10XB", "1,5GB", "10GiB", "infGB", "1e3MB", "nan"])
def test_an_invalid_limit_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="such as 10GB"):
        bytes_of(text)


def test_a_read_only_cache_is_reported_once_and_still_read(house: Path) -> None:
    read(names()[:10])
    (folder,) = Path("cache").iterdir()
    Path("cache", folder.name.replace("16x16", "8x8")).write_text("a file where the folder should be")
    reporter = Silent()
    assert read(shape=(1, 8, 8), reporter=reporter) == names()
    assert len(reporter.warnings) == 1
    assert "cache cannot be filled" in reporter.warnings[0]
    assert read(names()[:10]) == []


def test_a_nearly_full_disk_is_not_filled(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(names()[:10])
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 10**12 - 10**8, 10**8))
    reporter = Silent()
    assert read(reporter=reporter) == names()[10:]
    assert reporter.warnings == [
        "the cache cache cannot be filled: less than 1 GB of its disk would be left free; images are decoded each time"
    ]


FAILING = """
import resource, sys
from pathlib import Path
from dfal_cli.cli.console import Log
from dfal_cli.images import InputFormat, cached, in_batches, list_images, read_batches, read_from_disk
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))  # as a disk with room for so much
with cached(Path("cache"), "1GB", read_from_disk, Log()) as reader:
    images = list_images(Path("images")).images
    batches = list(read_batches(Path("images"), in_batches(images, 7), InputFormat((1, 16, 16)), 3, reader))
assert sum(len(batch.images) for batch in batches) == 40
"""


def test_a_disk_that_fills_up_while_the_cache_is_written_costs_a_warning_and_leaves_nothing(house: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FAILING], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("warning: the cache cache cannot be filled: File too large") == 1
    assert [path for path in Path("cache").rglob("*") if path.is_file()] == []
    assert read() == names()
    assert read() == []


@pytest.mark.parametrize(
    ("folder", "reason"),
    [("oracle.csv", "oracle.csv: is a file"), ("oracle.csv/cache", "cannot be created"), ("", "a folder of its own")],
)
def test_an_unsuitable_cache_folder_is_a_usage_error(house: Path, folder: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        read(folder=folder)


def test_other_files_in_the_cache_folder_are_left_alone(house: Path) -> None:
    stranger = Path("cache") / "holiday" / "beach.pixels"
    stranger.parent.mkdir(parents=True)
    stranger.write_bytes(bytes(50_000))
    with cached(Path("cache"), "1kB", read_from_disk, Silent()):
        assert stranger.exists()
