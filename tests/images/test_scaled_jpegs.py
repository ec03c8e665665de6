"""Large JPEGs are decoded at a fraction of their size, with nearly the same pixels."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from dfal_cli.images import decode_image
from tests.images.test_decode import decoded, save

CLOTHING = Path(__file__).parents[3] / "shared/data/clothing10/clothing10_jpeg.zip"
"""1,887 phone photos, 400 pixels and more."""


def photo(height: int, width: int) -> Image.Image:
    """Soft shapes in all colours, with an edge."""
    small = np.random.default_rng(1).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    image.paste((250, 240, 10), (width // 3, height // 2, width // 2, height - height // 8))
    return image


def resized(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """The pixels by way of a full decode: a PNG of a JPEG's pixels is never scaled while it is decoded."""
    whole = decoded(path, shape[0])
    full = path.with_suffix(".png")
    save(full, whole[..., 0] if shape[0] == 1 else whole)
    return decode_image(full, shape).astype(int)


LARGE_JPEGS: dict[str, tuple[str, dict[str, Any]]] = {
    "baseline": ("RGB", {}),
    "progressive": ("RGB", {"progressive": True}),
    "no subsampling": ("RGB", {"subsampling": 0}),
    "grey": ("L", {}),
    "CMYK": ("CMYK", {}),
}


@pytest.mark.parametrize(("mode", "settings"), LARGE_JPEGS.values(), ids=LARGE_JPEGS)
@pytest.mark.parametrize("shape", [(3, 20, 30), (1, 16, 16), (3, 45, 60), (3, 90, 10)])
def test_a_scaled_jpeg_is_close_to_its_full_decode(
    tmp_path: Path, mode: str, settings: dict[str, Any], shape: tuple[int, int, int]
) -> None:
    path = tmp_path / "a.jpg"
    photo(401, 603).convert(mode).save(path, quality=95, **settings)
    difference = np.abs(decode_image(path, shape) - resized(path, shape))
    assert difference.mean() < 0.5
    assert difference.max() < 15


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_to_a_large_jpeg(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.jpg"
    photo(300, 800).save(path, quality=95, exif=exif)
    height, width = (800, 300) if orientation >= 5 else (300, 800)
    shape = (3, height // 12, width // 12)
    assert np.abs(decode_image(path, shape) - resized(path, shape)).mean() < 0.5


@pytest.mark.parametrize(("shape", "decoded_at"), [
    ((3, 150, 100), (400, 600)), ((3, 100, 140), (200, 300)), ((3, 100, 150), (200, 300)), ((3, 101, 150), (400, 600)),
    ((3, 100, 151), (400, 600)), ((3, 10, 10), (50, 75)), ((3, 400, 600), (400, 600)), ((3, 1000, 1000), (400, 600)),
])  # fmt: skip
def test_a_jpeg_is_decoded_at_no_less_than_twice_the_wanted_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int, int], decoded_at: tuple[int, int]
) -> None:
    path = tmp_path / "a.jpg"
    photo(400, 600).save(path)
    sizes = []
    load = JpegImageFile.load

    def noting(image: JpegImageFile) -> Any:
        sizes.append((image.height, image.width))
        return load(image)

    monkeypatch.setattr(JpegImageFile, "load", noting)
    decode_image(path, shape)
    assert set(sizes) == {decoded_at}


def test_a_small_jpeg_is_resized_from_all_of_its_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    photo(99, 150).save(path)
    for shape in ((3, 50, 70), (3, 99, 150), (1, 64, 64), (3, 200, 200)):
        np.testing.assert_array_equal(decode_image(path, shape), resized(path, shape))


@pytest.mark.skipif(not CLOTHING.exists(), reason="no ../shared/data/clothing10 here: scaled decoding of real photos")
def test_real_photos_differ_little_when_they_are_decoded_scaled(tmp_path: Path) -> None:
    with zipfile.ZipFile(CLOTHING) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")][::60]
        paths = [Path(archive.extract(name, tmp_path)) for name in names]
    differences = [np.abs(decode_image(path, (3, 64, 64)) - resized(path, (3, 64, 64))) for path in paths]
    assert 0 < np.mean(differences) < 0.4
    assert max(difference.mean() for difference in differences) < 1.5
