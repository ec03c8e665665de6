"""Pictures for the screen: size, EXIF, more than 8 bits, and the list's own scale."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dfal_cli.images import STRETCH
from dfal_cli.images.screen import for_screen, original, whites_of
from dfal_cli.pages.preview_pictures import Images, limit_of
from tests.conftest import write
from tests.labelling.serving import served

STORED = {
    1: lambda upright: upright,
    2: np.fliplr,
    3: lambda upright: np.rot90(upright, 2),
    4: np.flipud,
    5: lambda upright: upright.swapaxes(0, 1),
    6: np.rot90,
    7: lambda upright: np.rot90(upright, 2).swapaxes(0, 1),
    8: lambda upright: np.rot90(upright, 3),
}
"""EXIF orientation -> how an upright image is stored with it."""


def shown(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_large_photos_are_made_smaller_and_small_ones_are_exact(tmp_path: Path) -> None:
    Image.new("RGB", (3000, 1500), "red").save(tmp_path / "large.jpg")
    small = np.random.default_rng(0).integers(0, 255, (28, 28), dtype=np.uint8)
    Image.fromarray(small).save(tmp_path / "small.png")
    assert shown(for_screen(tmp_path / "large.jpg", 1024, None).content).shape == (512, 1024, 3)
    assert np.array_equal(shown(for_screen(tmp_path / "small.png", 1024, None).content), small)


@pytest.mark.parametrize("turned", STORED)
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_photos_stand_upright_however_the_camera_was_held(tmp_path: Path, turned: int, suffix: str) -> None:
    upright = np.zeros((200, 300, 3), np.uint8)
    upright[:100, :150] = (250, 20, 20)  # the upper left quarter
    stored = STORED[turned](upright)
    exif = Image.Exif()
    exif[0x0112] = turned
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif)
    pixels = shown(for_screen(path, 1024, None).content)
    assert pixels.shape == (200, 300, 3)
    assert pixels[50, 75, 0] > 200
    assert pixels[150, 225, 0] < 60


def test_the_original_is_the_file_itself_if_browsers_show_it(tmp_path: Path) -> None:
    Image.new("RGB", (40, 20), "red").save(tmp_path / "a.jpg")
    Image.fromarray(np.full((20, 40), 4095, np.uint16)).save(tmp_path / "b.png")
    Image.new("RGB", (40, 20), "red").save(tmp_path / "c.tif")
    assert original(tmp_path / "a.jpg", None).content == (tmp_path / "a.jpg").read_bytes()
    assert shown(original(tmp_path / "b.png", 4095).content).max() == 255
    assert shown(original(tmp_path / "c.tif", None).content).shape == (20, 40, 3)


def test_images_of_more_than_8_bits_share_the_scale_of_the_list(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for number in range(1, 5):  # 12 bits
        Image.fromarray(np.full((8, 8), number * 1000, np.uint16)).save(tmp_path / f"images/{number}.png")
    Image.fromarray(np.full((8, 8), 1000, np.float32)).save(tmp_path / "images/f.tif")
    queries = write(tmp_path / "queries.csv", "image,label", *(f"{n}.png," for n in range(1, 5)), "f.tif,")
    with served(queries, tmp_path / "images") as page:
        for image, value in (("1.png", 1000), ("4.png", 4000), ("f.tif", 1000)):
            pixels = shown(page.get("photo", image=image, side=100).body)
            assert pixels.max() == round(value / 4095 * 255)
    with served(queries, tmp_path / "images", white=1000.0) as page:
        assert shown(page.get("photo", image="1.png", side=100).body).max() == 255


def draw_mixed(folder: Path) -> list[str]:
    """Two images of 16 bits and two of floats from 0 to 1, each kind with one that is half as bright."""
    folder.mkdir()
    for share in (1, 2):
        Image.fromarray(np.full((8, 8), 65_000 // share, np.uint16)).save(folder / f"i{share}.tif")
        Image.fromarray(np.full((8, 8), 1 / share, np.float32)).save(folder / f"f{share}.tif")
    return ["i1.tif", "i2.tif", "f1.tif", "f2.tif"]


def test_floats_from_0_to_1_are_not_black_beside_integers(tmp_path: Path) -> None:
    images = draw_mixed(tmp_path / "images")
    queries = write(tmp_path / "queries.csv", "image,label", *(f"{image}," for image in images))
    with served(queries, tmp_path / "images") as page:
        brightest = [int(shown(page.get("photo", image=image, side=100).body).max()) for image in images]
    assert brightest == [253, 126, 255, 128]
    whites = whites_of(images, (tmp_path / "images").joinpath)
    assert whites == (65_535, 1)
    for of_network in (None, 65_535.0, 1.0):
        preview = Images(tmp_path / "images", False, of_network, STRETCH, limit_of(4)).with_whites_of(images)
        sources = [preview.picture(image, beside_twin=False).source for image in images]
        assert [shown(base64.b64decode(source.split(",")[1])).max() for source in sources] == brightest


@pytest.mark.parametrize("white", [130_000.0, 2.0])
def test_a_white_that_is_set_is_that_of_integers_or_of_floats(tmp_path: Path, white: float) -> None:
    images = draw_mixed(tmp_path / "images")
    queries = write(tmp_path / "queries.csv", "image,label", *(f"{image}," for image in images))
    with served(queries, tmp_path / "images", white=white) as page:
        brightest = [int(shown(page.get("photo", image=image, side=100).body).max()) for image in images]
    assert brightest == ([128, 64, 255, 128] if white > 2 else [253, 126, 128, 64])


def test_a_file_that_is_no_image_is_refused_with_a_reason(tmp_path: Path) -> None:
    write(tmp_path / "images/a.png", "not an image")
    queries = write(tmp_path / "queries.csv", "image,label", "a.png,")
    with served(queries, tmp_path / "images") as page:
        reply = page.get("photo", image="a.png", side=100)
        assert reply.status == 422
        assert "not an image" in reply.text
