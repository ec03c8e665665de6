"""The pictures of the preview page: photos, small, upright and in their colours, beside their twins."""

import base64
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageCms

from dfal_cli.images import STRETCH
from dfal_cli.pages.preview import write_preview
from dfal_cli.pages.preview_pictures import Images, limit_of
from tests.conftest import dfal
from tests.page import Page
from tests.steps.test_preview import page, preview_by

__all__ = ["page"]


def test_the_twin_stands_beside_its_image_with_the_difference_amplified(page: Page) -> None:
    image, twin, difference, _ = page.pictures()
    assert image.size == twin.size == difference.size == (16, 16)
    assert np.array_equal(np.asarray(image), np.asarray(Image.open("images/000.png")))
    shown = np.asarray(difference).astype(int)
    assert shown[3, 5] == 255
    assert np.abs(np.delete(shown.ravel(), 3 * 16 + 5) - 128).max() <= 1


def test_the_twin_of_a_cropped_image_is_compared_with_its_crop(in_tmp: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 48), dtype=np.uint8)
    Image.fromarray(pixels).save("a.png")
    twin = pixels[None, :, 16:32] / np.float32(255)
    twin[0, 3, 5] += 0.01
    np.save("t.npy", twin)
    queries = pd.DataFrame([{"rank": "1", "image": "a.png", "label": "", "margin": "0.01", "twin": "t.npy"}])
    resize = {"how": "crop", "shorter_side": 16, "interpolation": "bilinear"}
    metadata = {"input_shape": [1, 16, 16], "white": None, "resize": resize, "norm": "l2"}
    write_preview(Path("p.html"), Path("q.csv"), queries, None, in_tmp, metadata, "dfal", keys={}, keep_better=False)
    whole, _, difference = Page(Path("p.html")).pictures()
    assert whole.size == (48, 16)
    shown = np.asarray(difference).astype(int)
    assert shown[3, 5] == 255
    assert np.abs(np.delete(shown.ravel(), 3 * 16 + 5) - 128).max() <= 1


@pytest.mark.parametrize(("strategy", "pictures"), [("dfal", 6), ("coverage", 2), ("random", 2), ("entropy", 2)])
def test_twins_are_shown_only_if_the_strategy_is_about_them(tmp_path: Path, strategy: str, pictures: int) -> None:
    np.save(tmp_path / "t.npy", np.zeros((1, 16, 16), np.float32))
    page = preview_by(strategy, tmp_path, twin=["t.npy"] * 4)
    assert len(page.pictures()) == pictures
    assert ("Why this one?" in page.words) == (strategy in ("dfal", "entropy"))


def test_a_hundred_photos_with_twins_take_less_than_six_megabytes(tmp_path: Path) -> None:
    """The photo has details of every size and the grain of a dark scene, the twin is noise, the worst case."""
    generator = np.random.default_rng(0)
    pixels = generator.normal(0, 8, (900, 1200, 3))
    for side in (3, 6, 12, 25, 50, 100, 200):
        coarse = Image.fromarray(generator.integers(0, 256, (side, side, 3), dtype=np.uint8))
        pixels += (np.asarray(coarse.resize((1200, 900), Image.Resampling.BICUBIC)) - 128.0) * 2 / side**0.5
    Image.fromarray((pixels + 128).clip(0, 255).astype(np.uint8)).save(tmp_path / "a.jpg", quality=95)
    np.save(tmp_path / "t.npy", generator.random((3, 224, 224), np.float32))
    images = Images(tmp_path, False, None, STRETCH, limit_of(100))
    photo = images.picture("a.jpg", beside_twin=True)
    twin, difference, _ = images.twin_pictures("a.jpg", tmp_path / "t.npy", [3, 224, 224])
    sources = [photo.source, twin.source, difference.source]
    assert all(sources)
    assert 100 * sum(map(len, sources)) < 5.9e6
    shown = Image.open(io.BytesIO(base64.b64decode(photo.source.split(",")[1])))
    assert shown.width / shown.height == pytest.approx(4 / 3, rel=0.01)
    assert shown.width >= 512


def test_a_photo_is_shown_upright(in_tmp: Path) -> None:
    Path("images").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    pixels = np.zeros((300, 400), np.uint8)
    pixels[:, :200] = 255
    Image.fromarray(pixels).save("images/a.jpg", exif=exif)
    first = ("select", "--images", "images", "--strategy", "random", "--count", 1)
    assert dfal(*first, "--out", "q.csv", "--preview", "p.html").code == 0
    (picture,) = Page(in_tmp / "p.html").pictures()
    assert picture.size == (300, 400)
    assert np.asarray(picture.convert("L")).mean(1)[[50, 350]] == pytest.approx([255, 0], abs=5)


def test_the_colours_of_a_photo_are_those_of_its_profile(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.effect_noise((600, 400), 50).convert("RGB").save(tmp_path / "a.jpg", icc_profile=profile)
    photo = Images(tmp_path, False, None, STRETCH, limit_of(10)).picture("a.jpg", beside_twin=False)
    shown = Image.open(io.BytesIO(base64.b64decode(photo.source.split(",")[1])))
    assert shown.info["icc_profile"] == profile


def test_a_first_list_has_a_page_too_and_large_colour_images_are_shrunk(in_tmp: Path) -> None:
    Path("images").mkdir()
    Image.effect_noise((1200, 800), 50).convert("RGB").save("images/a.jpg")
    first = ("select", "--images", "images", "--strategy", "random", "--count", 1)
    assert dfal(*first, "--out", "q.csv", "--preview", "p.html").code == 0
    (picture,) = Page(in_tmp / "p.html").pictures()
    assert 200 <= max(picture.size) < 1200
    assert picture.width / picture.height == pytest.approx(1.5, rel=0.01)
