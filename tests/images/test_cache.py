"""The image cache gives the same pixels as decoding, whatever other commands, crashes and full disks do to it."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dfal_cli.images import DecodedImage, ImageError, InputFormat, cached, decode_image, read_batches, read_from_disk
from dfal_cli.system.reporting import Silent
from tests.conftest import draw_twins_in_size, swap
from tests.images.cached_reading import FORMAT, SHAPE, Counting, names, read, segments


def test_a_second_command_decodes_nothing_and_reads_the_same_pixels(house: Path) -> None:
    assert read() == names()
    assert read() == []


def test_a_command_decodes_each_image_once(house: Path) -> None:
    assert read(names() * 3) == names()
    assert read(names() * 3, shape=(1, 24, 24), limit="60kB") == names()  # published in between, 14 at a time


def test_colours_and_sizes_have_separate_cache_entries(house: Path) -> None:
    for shape in (SHAPE, (3, 16, 16), (1, 12, 20), (1, 20, 12)):
        assert read(shape=shape) == names()
    for shape in (SHAPE, (3, 16, 16), (1, 12, 20), (1, 20, 12)):
        assert read(shape=shape) == []


def test_whites_have_separate_cache_entries_and_the_maximum_value_is_cached(house: Path) -> None:
    Image.fromarray(np.linspace(0, 3000, 256).reshape(16, 16).astype(np.uint16)).save("images/wide.png")
    for white in (None, 255.0, 4095.0, 4095.5):
        assert read(white=white) == names()
        assert read(white=white) == []
        with cached(Path("cache"), "1GB", read_from_disk, Silent()) as reader:
            (batch,) = read_batches(Path("images"), [["000.png", "wide.png"]], InputFormat(SHAPE, white), 1, reader)
            assert batch.max_values.tolist() == [3000]


def test_pixels_from_the_cache_stay_valid_while_another_command_clears_it(house: Path) -> None:
    read()
    with cached(Path("cache"), "1GB", Counting(), Silent()) as reader:
        before = reader(Path("images"), "000.png", FORMAT).pixels
        shutil.rmtree("cache")
        np.testing.assert_array_equal(before, decode_image(Path("images/000.png"), SHAPE))
        np.testing.assert_array_equal(
            reader(Path("images"), "001.png", FORMAT).pixels, decode_image(Path("images/001.png"), SHAPE)
        )
        assert not before.flags.writeable


@pytest.mark.parametrize("same", ["size", "time"])
def test_a_changed_image_is_decoded_again_and_cached(house: Path, same: str) -> None:
    bitmap = Path("images/a.bmp")
    Image.new("L", (16, 16), 10).save(bitmap)
    read()
    before = bitmap.stat()
    Image.new("L", (16, 16 if same == "size" else 20), 200).save(bitmap)
    os.utime(bitmap, ns=(0, before.st_mtime_ns + (5 if same == "size" else 0)))
    assert (bitmap.stat().st_size == before.st_size) == (same == "size")
    assert read() == ["a.bmp"]
    assert read() == []


def test_swapped_images_of_equal_size_and_time_are_decoded_again(house: Path) -> None:
    draw_twins_in_size(Path("images"), "a.bmp", "b.bmp")
    read()
    swap(Path("images/a.bmp"), Path("images/b.bmp"))
    assert read() == ["a.bmp", "b.bmp"]
    shutil.copy2("images/a.bmp", "images/b.bmp")
    assert read() == ["b.bmp"]
    assert read() == []


def test_a_folder_renamed_back_and_forth_is_not_decoded_again(house: Path) -> None:
    read()
    Path("images").rename("aside").rename("images")
    assert read() == []


def test_an_image_replaced_while_it_is_decoded_is_not_cached(house: Path) -> None:
    def replacing(root: Path, image: str, input_format: InputFormat) -> DecodedImage:
        picture = read_from_disk(root, image, input_format)
        Image.new("L", (16, 16), 200).save(root / image)
        return picture

    with cached(Path("cache"), "1GB", replacing, Silent()) as reader:
        reader(Path("images"), "000.png", FORMAT)
    assert read(["000.png"]) == ["000.png"]


def test_unreadable_images_are_not_cached(house: Path) -> None:
    for name in ("broken.png", "later.png"):
        Path("images", name).write_bytes(Path("images/000.png").read_bytes()[:60])
    for _ in range(2):
        with cached(Path("cache"), "1GB", read_from_disk, Silent()) as reader:
            for name, reason in (("broken.png", "truncated"), ("later.png", "truncated"), ("none.png", "no such file")):
                with pytest.raises(ImageError, match=reason):
                    reader(Path("images"), name, FORMAT)
    shutil.copy("images/001.png", "images/later.png")
    assert read(["later.png"]) == ["later.png"]


def test_a_deleted_image_is_not_served_from_the_cache(house: Path) -> None:
    read()
    Path("images/000.png").unlink()
    with (
        cached(Path("cache"), "1GB", read_from_disk, Silent()) as reader,
        pytest.raises(ImageError, match="no such file"),
    ):
        reader(Path("images"), "000.png", FORMAT)


def test_a_folder_under_several_roots_is_decoded_once(house: Path) -> None:
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
def test_a_segment_with_a_changed_byte_gives_no_wrong_pixel(house: Path, place: int) -> None:
    read()
    (segment,) = segments()
    content = bytearray(segment.read_bytes())
    content[place] ^= 1
    segment.write_bytes(content)
    assert read()
    assert segment not in segments()
    read()
    assert read() == []


def test_files_that_are_not_segments_are_left_alone(house: Path) -> None:
    for path in ("cache/notes.txt", "cache/1x16x16/photo.png", "cache/other/.x.tmp"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text("mine")
        os.utime(path, (0, 0))
    read()
    read(limit="1kB")
    assert all(Path(path).read_text() == "mine" for path in ("cache/notes.txt", "cache/1x16x16/photo.png"))
    assert Path("cache/other/.x.tmp").exists()


def test_without_a_folder_there_is_no_cache(house: Path) -> None:
    with cached(None, "10GB", read_from_disk, Silent()) as reader:
        assert reader is read_from_disk
