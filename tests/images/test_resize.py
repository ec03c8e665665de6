"""Images are stretched, cropped to their centre or padded to the input of a network."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

from dfal_cli.images import InputFormat, Resize, cached, read_from_disk
from dfal_cli.images.decode import read_image
from dfal_cli.system.reporting import Silent
from tests.images.test_scaled_jpegs import photo

SHAPE = (3, 28, 28)
MODES = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}


def pixels(path: Path, resize: Resize, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """(H, W, C)"""
    return read_image(path, InputFormat(shape, resize=resize)).pixels.transpose(1, 2, 0).astype(int)


def by_torchvision(path: Path, shorter_side: int, interpolation: str) -> np.ndarray:
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
        scaled = F.resize(upright, [shorter_side], MODES[interpolation])
        return np.asarray(F.center_crop(scaled, [28, 28])).astype(int)


@pytest.mark.parametrize("size", [(40, 40), (40, 61), (75, 33), (20, 25), (28, 28), (300, 200), (29, 1)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shorter_side", [28, 32, 29])
def test_a_crop_has_the_pixels_of_torchvisions_resize_and_center_crop(
    tmp_path: Path, size: tuple[int, int], interpolation: str, shorter_side: int
) -> None:
    path = tmp_path / "a.png"
    photo(*size).save(path)
    cropped = pixels(path, Resize("crop", shorter_side, interpolation))
    difference = np.abs(cropped - by_torchvision(path, shorter_side, interpolation))
    assert difference.max() <= 1  # only the centre is computed, which rounds a few values differently
    assert np.mean(difference > 0) < 0.03


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_large_photo_that_is_rotated_by_exif_is_cropped_upright(
    tmp_path: Path, orientation: int, suffix: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    photo(300, 750).save(path, quality=95, exif=exif)
    difference = np.abs(pixels(path, Resize("crop", 32)) - by_torchvision(path, 32, "bilinear"))
    assert difference.mean() < 0.7  # a JPEG is decoded at a fraction of its size, and resized before it is rotated
    assert difference.max() < 20


def test_without_a_shorter_side_a_crop_keeps_all_of_the_shorter_side(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    photo(40, 70).save(path)
    np.testing.assert_array_equal(pixels(path, Resize("crop")), pixels(path, Resize("crop", 28)))


def test_a_crop_to_an_oblong_input_covers_it(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    photo(100, 100).save(path)
    cropped = pixels(path, Resize("crop"), (3, 20, 40))
    with Image.open(path) as image:
        expected = np.asarray(image.resize((40, 40), Image.Resampling.BILINEAR)).astype(int)[10:30]
    np.testing.assert_array_equal(cropped, expected)


@pytest.mark.parametrize(("size", "inside"), [((60, 30), (28, 14)), ((30, 60), (14, 28)), ((2000, 1), (28, 1))])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_padding_keeps_the_whole_image_on_grey(
    tmp_path: Path, size: tuple[int, int], inside: tuple[int, int], suffix: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (size[1] * 9, size[0] * 9), (200, 40, 90)).save(path, quality=95)
    result = pixels(path, Resize("pad"))
    is_picture = np.abs(result - (200, 40, 90)).max(2) <= 3
    rows, columns = is_picture.any(1), is_picture.any(0)
    assert (rows.sum(), columns.sum(), is_picture.sum()) == (*inside, inside[0] * inside[1])
    assert (result[~is_picture] == 127).all()
    assert abs(int(rows.argmax()) - int(rows[::-1].argmax())) <= 1  # in the middle
    assert abs(int(columns.argmax()) - int(columns[::-1].argmax())) <= 1


def test_a_grey_image_is_padded_too(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("L", (10, 20), 255).save(path)
    assert sorted(set(pixels(path, Resize("pad"), (1, 20, 20)).flatten())) == [127, 255]


def test_the_cache_keeps_ways_of_resizing_apart(in_tmp: Path) -> None:
    Path("images").mkdir()
    photo(50, 90).save("images/a.png")
    formats = [InputFormat(SHAPE, resize=resize) for resize in (
        Resize(), Resize("crop", 32), Resize("crop", 30), Resize("pad"), Resize("crop", 32, "bicubic")
    )]  # fmt: skip
    direct = [read_from_disk(Path("images"), "a.png", each).pixels.tobytes() for each in formats]
    for _ in range(2):  # the second time from the cache
        with cached(Path("cache"), "1MB", read_from_disk, Silent()) as reader:
            assert [reader(Path("images"), "a.png", each).pixels.tobytes() for each in formats] == direct
    assert len(set(direct)) == len(formats)
