"""Decoded images on disk: the same pixels as without, whatever other commands, crashes and full disks do to them."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dfal_cli.console import Log, Silent
from dfal_cli.errors import UsageError
from dfal_cli.images import ImageError, cached, decode_image, read_batches, read_from_disk
from dfal_cli.images.room import KEPT_SECONDS, LEFTOVER_SECONDS, bytes_of
from tests.conftest import draw_folder

SHAPE = (1, 16, 16)
BYTES = 256


@pytest.fixture
def house(in_tmp: Path) -> Path:
    """images/ with 40 PNGs, the working directory."""
    return draw_folder(in_tmp)


def names(root: Path = Path("images")) -> list[str]:
    return sorted(path.name for path in root.iterdir())


class Counting:
    """Decodes, and notes what."""

    def __init__(self) -> None:
        self.decoded: list[str] = []

    def __call__(self, root: Path, image: str, input_shape: tuple[int, int, int]) -> np.ndarray:
        pixels = read_from_disk(root, image, input_shape)
        self.decoded.append(image)
        return pixels


def read(
    images: list[str] | None = None,
    *,
    limit: str = "1GB",
    reporter: Silent | None = None,
    root: str = "images",
    shape: tuple[int, int, int] = SHAPE,
    folder: str = "cache",
) -> list[str]:
    """Read images through the cache, check every pixel of them, and return those that were decoded."""
    counting = Counting()
    images = names(Path(root)) if images is None else images
    with cached(Path(folder), limit, counting, reporter or Silent()) as reader:
        for batch in read_batches(Path(root), images, shape, 7, 3, reader):
            assert not batch.unreadable
            for image, pixels in zip(batch.images, batch.pixels, strict=True):
                np.testing.assert_array_equal(pixels, decode_image(Path(root, image), shape))
    return sorted(counting.decoded)


def segments() -> list[Path]:
    return sorted(Path("cache").glob("*/*.pixels"))


def size_of_cache() -> int:
    return sum(path.stat().st_size for path in segments())


def age(seconds: float) -> None:
    """Make all segments that much older."""
    for path in segments():
        os.utime(path, times=(time.time() - seconds,) * 2)


def test_the_second_command_decodes_nothing_and_has_the_same_pixels(house: Path) -> None:
    assert read() == names()
    assert read() == []


def test_what_has_been_decoded_is_not_decoded_again_by_the_same_command(house: Path) -> None:
    assert read(names() * 3) == names()
    assert read(names() * 3, shape=(1, 24, 24), limit="60kB") == names()  # published in between, 14 at a time


def test_colour_and_grey_and_every_size_are_kept_apart(house: Path) -> None:
    for shape in (SHAPE, (3, 16, 16), (1, 12, 20), (1, 20, 12)):
        assert read(shape=shape) == names()
    for shape in (SHAPE, (3, 16, 16), (1, 12, 20), (1, 20, 12)):
        assert read(shape=shape) == []


def test_pixels_from_the_cache_may_be_held_while_another_command_clears_it(house: Path) -> None:
    read()
    with cached(Path("cache"), "1GB", Counting(), Silent()) as reader:
        before = reader(Path("images"), "000.png", SHAPE)
        shutil.rmtree("cache")
        np.testing.assert_array_equal(before, decode_image(Path("images/000.png"), SHAPE))
        np.testing.assert_array_equal(
            reader(Path("images"), "001.png", SHAPE), decode_image(Path("images/001.png"), SHAPE)
        )
        assert not before.flags.writeable


@pytest.mark.parametrize("same", ["size", "time"])
def test_a_changed_image_is_decoded_again_and_then_kept(house: Path, same: str) -> None:
    bitmap = Path("images/a.bmp")
    Image.new("L", (16, 16), 10).save(bitmap)
    read()
    before = bitmap.stat()
    Image.new("L", (16, 16 if same == "size" else 20), 200).save(bitmap)
    os.utime(bitmap, ns=(0, before.st_mtime_ns + (5 if same == "size" else 0)))
    assert (bitmap.stat().st_size == before.st_size) == (same == "size")
    assert read() == ["a.bmp"]
    assert read() == []


def test_an_image_replaced_while_it_is_decoded_is_not_kept(house: Path) -> None:
    def replacing(root: Path, image: str, input_shape: tuple[int, int, int]) -> np.ndarray:
        pixels = read_from_disk(root, image, input_shape)
        Image.new("L", (16, 16), 200).save(root / image)
        return pixels

    with cached(Path("cache"), "1GB", replacing, Silent()) as reader:
        reader(Path("images"), "000.png", SHAPE)
    assert read(["000.png"]) == ["000.png"]


def test_an_image_that_cannot_be_read_is_never_kept(house: Path) -> None:
    for name in ("broken.png", "later.png"):
        Path("images", name).write_bytes(Path("images/000.png").read_bytes()[:60])
    for _ in range(2):
        with cached(Path("cache"), "1GB", read_from_disk, Silent()) as reader:
            for name, reason in (("broken.png", "truncated"), ("later.png", "truncated"), ("none.png", "no such file")):
                with pytest.raises(ImageError, match=reason):
                    reader(Path("images"), name, SHAPE)
    shutil.copy("images/001.png", "images/later.png")
    assert read(["later.png"]) == ["later.png"]


def test_an_image_that_is_gone_does_not_come_from_the_cache(house: Path) -> None:
    read()
    Path("images/000.png").unlink()
    with (
        cached(Path("cache"), "1GB", read_from_disk, Silent()) as reader,
        pytest.raises(ImageError, match="no such file"),
    ):
        reader(Path("images"), "000.png", SHAPE)


def test_one_folder_seen_from_several_roots_is_decoded_once(house: Path) -> None:
    read()
    Path("link").symlink_to("images")
    assert read(root="link") == []
    assert read([f"images/{name}" for name in names()], root=".") == []
    assert read(root=str(Path("images").absolute())) == []


@pytest.mark.parametrize("kept", [0, 10, 24, 1000, 10_200, -1])
def test_a_truncated_segment_is_replaced(house: Path, kept: int) -> None:
    read()
    (segment,) = segments()
    segment.write_bytes(segment.read_bytes()[:kept])
    assert read() == names()
    assert segment not in segments()
    assert read() == []


@pytest.mark.parametrize("place", [0, 5000, 10_300, -10, -1])
def test_a_segment_in_which_a_byte_has_changed_gives_no_wrong_pixel(house: Path, place: int) -> None:
    read()
    (segment,) = segments()
    content = bytearray(segment.read_bytes())
    content[place] ^= 1
    segment.write_bytes(content)
    assert read()
    assert segment not in segments()
    read()
    assert read() == []


def test_what_is_not_a_segment_is_left_alone(house: Path) -> None:
    for path in ("cache/notes.txt", "cache/1x16x16/photo.png", "cache/other/.x.tmp"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text("mine")
        os.utime(path, (0, 0))
    read()
    read(limit="1kB")
    assert all(Path(path).read_text() == "mine" for path in ("cache/notes.txt", "cache/1x16x16/photo.png"))
    assert Path("cache/other/.x.tmp").exists()


def test_the_cache_stays_within_its_limit_and_what_it_holds_stays(house: Path) -> None:
    assert read(limit="8kB") == names()
    assert 4000 < size_of_cache() <= 8000
    held = set(names()) - set(read(limit="8kB"))
    assert len(held) > 12
    for _ in range(3):  # no night pushes out what the next one is about to read
        assert set(names()) - set(read(limit="8kB")) == held


def test_a_full_cache_is_told_of_once(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read(limit="3kB", reporter=Log())
    assert capsys.readouterr().err.count("the cache cache is full") == 1


def test_what_nobody_has_read_for_days_makes_way_for_the_new_the_oldest_first(house: Path) -> None:
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


def test_reading_an_image_keeps_its_segment(house: Path) -> None:
    read(limit="8kB", shape=(1, 8, 8))
    age(KEPT_SECONDS + 100)
    read(limit="8kB", shape=(1, 8, 8))
    before = segments()
    read(limit="8kB")
    assert set(before) <= set(segments())


def test_a_lower_limit_is_kept_too(house: Path) -> None:
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
def test_any_other_limit_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="such as 10GB"):
        bytes_of(text)


def test_a_cache_that_cannot_be_written_is_told_of_once_and_read_on(house: Path) -> None:
    read(names()[:10])
    (folder,) = Path("cache").iterdir()
    Path("cache", folder.name.replace("16x16", "8x8")).write_text("a file where the folder should be")
    reporter = Silent()
    assert read(shape=(1, 8, 8), reporter=reporter) == names()
    assert len(reporter.warnings) == 1
    assert "cache cannot be filled" in reporter.warnings[0]
    assert read(names()[:10]) == []


def test_a_nearly_full_disk_is_left_to_others(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
from dfal_cli.console import Log
from dfal_cli.images import cached, list_images, read_batches, read_from_disk
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))  # as a disk with room for so much
with cached(Path("cache"), "1GB", read_from_disk, Log()) as reader:
    batches = list(read_batches(Path("images"), list_images(Path("images")), (1, 16, 16), 7, 3, reader))
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
    [("oracle.csv", "oracle.csv: is a file"), ("oracle.csv/cache", "cannot be made"), ("", "a folder of its own")],
)
def test_a_folder_that_can_be_none_is_a_slip(house: Path, folder: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        read(folder=folder)


def test_files_of_others_in_the_folder_are_left_alone(house: Path) -> None:
    stranger = Path("cache") / "holiday" / "beach.pixels"
    stranger.parent.mkdir(parents=True)
    stranger.write_bytes(bytes(50_000))
    with cached(Path("cache"), "1kB", read_from_disk, Silent()):
        assert stranger.exists()


FILLING = """
import sys
from pathlib import Path
from dfal_cli.console import Silent
from dfal_cli.images import cached, list_images, read_batches, read_from_disk
root = Path("images")
with cached(Path("cache"), "100kB", read_from_disk, Silent()) as reader:
    for _ in range(int(sys.argv[1])):
        for side in range(24, 40):
            for batch in read_batches(root, list_images(root), (1, side, side), 5, 8, reader):
                assert len(batch.images) == 5
            print(side, flush=True)
"""


@pytest.fixture
def fillers() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that are ended with the test."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def start_filling(fillers: list[subprocess.Popen[str]], times: int) -> subprocess.Popen[str]:
    fillers.append(
        subprocess.Popen(
            [sys.executable, "-c", FILLING, str(times)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    )
    return fillers[-1]


def test_two_commands_may_fill_one_cache_at_once(house: Path, fillers: list[subprocess.Popen[str]]) -> None:
    start_filling(fillers, 2)
    start_filling(fillers, 2)
    for process in fillers:
        _, stderr = process.communicate(timeout=120)
        assert (process.returncode, stderr) == (0, "")
    assert 80_000 < size_of_cache() <= 100_000 + 20_000  # one segment more, if both publish at the same moment
    assert len(read(shape=(1, 24, 24))) < 20, "whole segments of what both began with are there"
    assert read(shape=(1, 24, 24)) == []
    assert {path.suffix for path in Path("cache").glob("*/*")} == {".pixels"}


@pytest.mark.parametrize("moment", range(4))
def test_a_command_killed_at_any_moment_leaves_a_usable_cache(
    house: Path, fillers: list[subprocess.Popen[str]], moment: int
) -> None:
    process = start_filling(fillers, 1000)
    assert process.stdout is not None
    for _ in range(moment + 1):
        process.stdout.readline()
    time.sleep(0.001 * moment)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = len(names()) - len(read(shape=(1, 24, 24)))
    assert kept > 0, "what was published before is there"
    assert read(shape=(1, 24, 24)) == []


def test_what_a_killed_command_was_writing_is_removed_when_nobody_can_be_writing_it(house: Path) -> None:
    read()
    (segment,) = segments()
    for age_in_seconds, name in ((LEFTOVER_SECONDS + 10, "old"), (0, "new")):
        leftover = segment.with_name(f".{name}.pixels.1234.tmp")
        leftover.write_bytes(b"half")
        os.utime(leftover, times=(time.time() - age_in_seconds,) * 2)
    read()
    assert sorted(path.name for path in segment.parent.glob(".*")) == [".new.pixels.1234.tmp"]


def test_without_a_folder_there_is_no_cache(house: Path) -> None:
    with cached(None, "10GB", read_from_disk, Silent()) as reader:
        assert reader is read_from_disk
