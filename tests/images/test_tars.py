"""Images in tars: their names, and what tars may hold to harm the reader."""

import io
import os
import random
import tarfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dfal_cli.errors import TryAgainError
from dfal_cli.images import ImageError, InputFormat, MissingImageError, list_images, probe_image, resolve_image
from dfal_cli.images.decode import read_image
from dfal_cli.images.files import contents_of, hash_of
from dfal_cli.images.roots import content_hash, is_there, state_of_image
from dfal_cli.images.tar_members import ENDS_EARLY, members
from tests.packed import add, pack

ENCODED = {
    level: (Image.new("L", (8, 8), level).save(buffer := io.BytesIO(), "PNG"), buffer.getvalue())[1]
    for level in range(0, 250, 10)
}
"""PNGs by their level of grey."""


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    return tmp_path / "pool.tar"


def written(tar: Path, *members: tuple[str, int], format: int = tarfile.GNU_FORMAT) -> Path:
    """Write a tar of PNGs, by name and level of grey."""
    with tarfile.open(tar, "w", format=format) as packed:
        for name, level in members:
            add(packed, name, ENCODED[level])
    return tar


def level_of(root: Path, image: str) -> int:
    pixels = read_image(resolve_image(root, image), InputFormat((1, 8, 8))).pixels
    assert (pixels == pixels[0, 0, 0]).all()
    return int(pixels[0, 0, 0])


def reasons(root: Path) -> dict[str, str]:
    return dict(list_images(root).unreadable)


def test_names_are_the_paths_inside_and_the_pixels_are_those_of_the_files(tar: Path) -> None:
    written(tar, ("b/2.png", 20), ("./a.png", 10), ("b/10.JPG", 30), ("notes.txt", 0))
    assert list_images(tar)[:2] == (["a.png", "b/10.JPG", "b/2.png"], [])
    assert [level_of(tar, image) for image in ("a.png", "b/2.png", "b/10.JPG")] == [10, 20, 30]


def test_in_a_folder_names_begin_with_the_tar_so_that_equal_paths_stay_apart(tmp_path: Path) -> None:
    written(tmp_path / "one.tar", ("x.png", 10))
    (tmp_path / "deep").mkdir()
    written(tmp_path / "deep/two.TAR", ("x.png", 20))
    (tmp_path / "x.png").write_bytes(ENCODED[30])
    assert list_images(tmp_path)[:2] == (["deep/two.TAR/x.png", "one.tar/x.png", "x.png"], [])
    assert [level_of(tmp_path, image) for image in list_images(tmp_path).images] == [20, 10, 30]


def test_a_folder_called_like_a_tar_stays_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.tar/b.tar").mkdir(parents=True)
    (tmp_path / "a.tar/b.tar/c.png").write_bytes(ENCODED[40])
    assert list_images(tmp_path)[:2] == (["a.tar/b.tar/c.png"], [])
    assert level_of(tmp_path, "a.tar/b.tar/c.png") == 40
    assert level_of(tmp_path / "a.tar", "b.tar/c.png") == 40


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_long_names_and_names_beyond_ascii_are_read_from_all_formats(tar: Path, format: int) -> None:
    long = f"{'d' * 60}/{'e' * 60}/犬é.png"
    written(tar, (long, 50), ("z.png", 60), format=format)
    assert list_images(tar)[:2] == ([long, "z.png"], [])
    assert level_of(tar, long) == 50


def test_of_members_of_one_name_the_last_one_counts_as_for_tar(tar: Path, tmp_path: Path) -> None:
    written(tar, ("a.png", 10), ("b.png", 20), ("./a.png", 30))
    assert list_images(tar).images == ["a.png", "b.png"]
    with tarfile.open(tar) as packed:
        packed.extractall(tmp_path / "unpacked", filter="data")
    assert level_of(tar, "a.png") == level_of(tmp_path / "unpacked", "a.png") == 30


def test_members_that_lead_out_or_are_no_files_are_listed_with_the_reason_and_never_opened(tar: Path) -> None:
    with tarfile.open(tar, "w") as packed:
        add(packed, "/etc/a.png", ENCODED[10])
        add(packed, "../b.png", ENCODED[10])
        add(packed, "c/../../d.png", ENCODED[10])
        add(packed, "link.png", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        add(packed, "hard.png", type=tarfile.LNKTYPE, linkname="good.png")
        add(packed, "device.png", type=tarfile.CHRTYPE, devmajor=1, devminor=5)
        add(packed, "fifo.png", type=tarfile.FIFOTYPE)
        add(packed, "folder.png", type=tarfile.DIRTYPE)
        add(packed, "good.png", ENCODED[10])
    assert list_images(tar).images == ["good.png"]
    found = reasons(tar)
    outside = {name for name, reason in found.items() if "leaves the image root" in reason}
    assert outside == {"/etc/a.png", "../b.png", "c/../../d.png"}
    kinds = {name: reason.split(" in a tar")[0] for name, reason in found.items() if name not in outside}
    assert kinds == {"link.png": "a link", "hard.png": "a link", "device.png": "a device", "fifo.png": "a FIFO"}
    for name in ("/etc/a.png", "../b.png", "link.png", "device.png", "folder.png"):
        with pytest.raises(ImageError):
            probe_image(resolve_image(tar, name))


def test_a_name_cannot_lead_from_a_folder_to_a_tar_outside(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    written(tmp_path / "secret.tar", ("a.png", 10))
    (tmp_path / "root/link.tar").symlink_to("../secret.tar")
    assert list_images(tmp_path / "root").images == []
    for name in ("../secret.tar/a.png", "link.tar/a.png", f"{tmp_path}/secret.tar/a.png"):
        with pytest.raises(ImageError, match="leaves the image root"):
            resolve_image(tmp_path / "root", name)
    assert list_images(tmp_path / "root", follow_links=True).images == ["link.tar/a.png"]
    assert probe_image(resolve_image(tmp_path / "root", "link.tar/a.png", follow_links=True)).height == 8


def test_hidden_members_and_other_formats_are_counted_as_in_a_folder(tar: Path) -> None:
    written(tar, ("._a.png", 0), ("a.png", 10), (".git/b.png", 0), ("c.psd", 0), ("d.tar", 0), ("e.tar.gz", 0))
    images, unreadable, skipped = list_images(tar)
    assert (images, unreadable, skipped.hidden) == (["a.png"], [], 2)
    assert skipped.others == {".psd": 1, ".tar": 1, ".tar.gz": 1}


def test_a_truncated_tar_gives_its_whole_members_and_says_where_it_ends(tar: Path) -> None:
    written(tar, *((f"{number}.png", 10) for number in range(5)))
    os.truncate(tar, 3 * 1024 + 520)  # 512 bytes of header, and the image; within the fourth image
    assert list_images(tar).images == ["0.png", "1.png", "2.png"]
    assert reasons(tar) == {"3.png": ENDS_EARLY, "pool.tar": ENDS_EARLY}
    for length in (3 * 1024 + 100, 3 * 1024):  # within a header, and between two members
        os.truncate(tar, length)
        assert list_images(tar)[:2] == (["0.png", "1.png", "2.png"], [("pool.tar", ENDS_EARLY)])


def test_a_damaged_header_is_said_instead_of_ending_the_list_in_silence(tar: Path) -> None:
    written(tar, *((f"{number}.png", 10) for number in range(5)))
    with tar.open("r+b") as handle:
        handle.seek(2 * 1024)
        handle.write(b"?" * 512)
    images, unreadable, _ = list_images(tar)
    assert images == ["0.png", "1.png"]
    assert [name for name, _ in unreadable] == ["pool.tar"]
    assert "damaged" in unreadable[0][1]


def header(name: str, size: int, type: bytes = tarfile.REGTYPE) -> bytes:
    """A header that claims this size."""
    member = tarfile.TarInfo(name)
    member.size, member.type = size, type
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no tar at all",
        b"\x89PNG" * 1000,
        header("a.png", -512) * 3,
        header("a.png", -(2**40)),
        header("././@LongLink", 2**40, tarfile.GNUTYPE_LONGNAME) + b"x" * 2048,
        header("././@LongLink", -512, tarfile.GNUTYPE_LONGNAME) + b"x" * 2048,
        header("x", 2**40, tarfile.XHDTYPE) + b"x" * 2048,
        header("x", 0, tarfile.XHDTYPE) * 3000,
        header("x", 20, tarfile.XHDTYPE) + b"12 size=-9999999999\n".ljust(512, b"\0") + header("a.png", 5) * 2,
        header("a.png", 5, tarfile.GNUTYPE_SPARSE)[:482] + b"\1" + bytes(29),
    ],
)  # fmt: skip
def test_no_tar_makes_the_reader_hang_or_fail(tar: Path, content: bytes) -> None:
    tar.write_bytes(content)
    images, unreadable, _ = list_images(tar)
    assert (images, [name for name, _ in unreadable]) == ([], ["pool.tar"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5 * 1024 - 1), st.integers(0, 255)), max_size=12), st.integers(0, 6 * 1024))
def test_a_tar_of_any_bytes_is_listed_and_what_is_listed_can_be_read_or_says_why_not(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], length: int
) -> None:
    tar = written(tmp_path_factory.mktemp("bytes") / "pool.tar", *((f"{number}.png", 10) for number in range(5)))
    content = bytearray(tar.read_bytes()[:length])
    for place, value in changes:
        content[place : place + 1] = bytes([value]) * (place < len(content))
    tar.write_bytes(content)
    for image in list_images(tar).images:
        try:
            probe_image(resolve_image(tar, image))
        except ImageError as error:
            assert str(error)


def test_a_member_that_claims_to_be_huge_is_refused_before_it_is_read(tar: Path) -> None:
    with tar.open("wb") as handle:
        handle.write(header("huge.png", 2 * 10**9))
        handle.truncate(512 + 2 * 10**9 + 1024)  # a file of nothing but holes
    assert list_images(tar).images == ["huge.png"]
    with pytest.raises(ImageError, match="too large: more than 1,000,000,000 bytes"):
        probe_image(resolve_image(tar, "huge.png"))
    assert content_hash(tar, "huge.png") == ""


def test_the_index_finds_what_tarfile_finds(tmp_path: Path) -> None:
    shuffled = random.Random(0)
    names = [f"{shuffled.choice('abc')}/{number}.{shuffled.choice(['png', 'jpg'])}" for number in range(500)]
    tar = written(tmp_path / "many.tar", *((name, shuffled.randrange(0, 250, 10)) for name in names))
    with tarfile.open(tar) as packed:
        expected = {member.name: packed.extractfile(member).read() for member in packed}
    assert list_images(tar).images == sorted(expected)
    assert {name: contents_of(resolve_image(tar, name)) for name in expected} == expected


MEMBERS = st.tuples(
    st.lists(st.text("ab é犬.", min_size=3, max_size=60), min_size=1, max_size=4).map("/".join),
    st.integers(0, 1500),
    st.sampled_from([tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.CONTTYPE]),
    st.sampled_from([0, 12, 1700000000.25]),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(MEMBERS, min_size=1, max_size=6),
    st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    st.dictionaries(st.sampled_from(["comment", "path", "mtime"]), st.just("1"), max_size=2),
)
def test_members_are_those_that_tarfile_finds(
    tmp_path_factory: pytest.TempPathFactory,
    given: list[tuple[str, int, bytes, float]],
    format: int,
    common: dict[str, str],
) -> None:
    tar = tmp_path_factory.mktemp("members") / "pool.tar"
    headers = common if format == tarfile.PAX_FORMAT else {}
    with tarfile.open(tar, "w", format=format, pax_headers=headers) as packed:
        for name, size, type, mtime in given:
            add(packed, name, bytes(size if type in tarfile.REGULAR_TYPES else 0), type=type, mtime=mtime)
    with tarfile.open(tar) as packed:
        expected = [(each.name, each.offset_data, each.size) for each in packed if each.isreg()]
    found = [member for member in members(str(tar)) if " in a tar" not in member.problem]
    assert [(member.name, member.offset, member.size) for member in found] == expected


def test_threads_read_one_tar_at_once(tar: Path) -> None:
    names = [f"{number}.png" for number in range(200)]
    written(tar, *((name, 10 * (number % 25)) for number, name in enumerate(names)))
    start = threading.Barrier(8)

    def read_all(_: int) -> list[int]:
        start.wait()
        return [level_of(tar, name) for name in names]

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(read_all, range(8))) == [[10 * (number % 25) for number in range(200)]] * 8


def appended(tar: Path) -> None:
    with tarfile.open(tar, "a") as packed:
        add(packed, "new.png", ENCODED[20])


def replaced(tar: Path) -> None:
    other = written(tar.with_name("other"), ("a.png", 20))
    os.utime(other, ns=(tar.stat().st_atime_ns, tar.stat().st_mtime_ns))
    other.replace(tar)


@pytest.mark.parametrize("change", [appended, replaced])
def test_a_tar_that_changes_is_indexed_again_and_its_images_count_as_changed(
    tar: Path, change: Callable[[Path], None]
) -> None:
    written(tar, ("a.png", 10))
    before = state_of_image(tar, "a.png")
    assert before == state_of_image(tar, "a.png")
    assert level_of(tar, "a.png") == 10
    change(tar)
    assert state_of_image(tar, "a.png") != before
    assert {level_of(tar, image) for image in list_images(tar).images} == ({10, 20} if change is appended else {20})


def test_a_tar_replaced_between_index_and_reading_asks_for_another_run(
    tar: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = resolve_image(written(tar, ("a.png", 10)), "a.png")
    opened = os.open
    monkeypatch.setattr(os, "open", lambda *given: (replaced(tar), opened(*given))[1])
    with pytest.raises(TryAgainError, match=r"pool\.tar: has just been replaced"):
        probe_image(member)


def test_a_missing_member_is_missing(tar: Path) -> None:
    written(tar, ("a.png", 10))
    assert (is_there(tar, "a.png"), is_there(tar, "b.png"), is_there(tar, "a.png/b")) == (True, False, False)
    with pytest.raises(MissingImageError):
        probe_image(resolve_image(tar, "b.png"))
    assert content_hash(tar, "b.png") == ""
    assert content_hash(tar.with_name("no.tar"), "b.png") == ""


def test_hashes_are_those_of_the_files(tar: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.png").write_bytes(ENCODED[10])
    pack(tmp_path / "images", tar)
    assert content_hash(tar, "a.png") == hash_of(tmp_path / "images/a.png") != ""


def test_tiffs_and_large_images_are_read_from_a_tar(tar: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    small, large = (Image.fromarray(generator.integers(0, 255, (side, side, 3), np.uint8)) for side in (50, 900))
    small.save(tmp_path / "images/a.tif", compression="tiff_lzw")
    large.save(tmp_path / "images/b.jpg", progressive=True)
    pack(tmp_path / "images", tar)
    wanted = InputFormat((3, 32, 32))
    for name in ("a.tif", "b.jpg"):
        in_tar, on_disk = (read_image(resolve_image(root, name), wanted) for root in (tar, tmp_path / "images"))
        np.testing.assert_array_equal(in_tar.pixels, on_disk.pixels)
