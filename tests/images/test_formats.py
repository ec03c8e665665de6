"""Image formats are recognised by the contents of files, and found by suffix."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dfal_cli.images import ImageError, decode_image, probe_image
from dfal_cli.images.formats import FORMATS, HEIF, not_readable
from tests.conftest import dfal
from tests.images.availability import available

OF_PILLOW = [name for name, each in FORMATS.items() if name != HEIF and each.available]
GRADIENT = np.linspace(0, 255, 32 * 32).reshape(32, 32).astype(np.uint8)


@pytest.mark.parametrize("name", OF_PILLOW)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_every_format_is_read_under_each_of_its_suffixes(tmp_path: Path, name: str, mode: str) -> None:
    picture = Image.fromarray(GRADIENT).convert(mode)
    for suffix in FORMATS[name].suffixes:
        picture.save(tmp_path / f"a{suffix}", name)
        assert probe_image(tmp_path / f"a{suffix}")[1:3] == (32, 32)
        pixels = decode_image(tmp_path / f"a{suffix}", (1, 32, 32))[0]
        assert np.abs(pixels.astype(int) - GRADIENT).mean() < 4


def test_images_of_16_bits_in_jpeg_2000_are_read_as_such(tmp_path: Path) -> None:
    Image.fromarray(GRADIENT.astype(np.uint16) * 257).save(tmp_path / "a.jp2", "JPEG2000")
    assert np.abs(decode_image(tmp_path / "a.jp2", (1, 32, 32))[0].astype(int) - GRADIENT).max() <= 1


def test_heic_is_read_with_its_package_which_other_formats_do_not_import(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.from_pillow(Image.fromarray(GRADIENT).convert("RGB")).save(tmp_path / "a.heic", quality=90)
    assert probe_image(tmp_path / "a.heic")[1:3] == (32, 32)
    assert np.abs(decode_image(tmp_path / "a.heic", (1, 32, 32))[0].astype(int) - GRADIENT).mean() < 4
    (tmp_path / "b.heic").write_bytes((tmp_path / "a.heic").read_bytes()[:200])
    with pytest.raises(ImageError):
        decode_image(tmp_path / "b.heic", (1, 32, 32))


def test_without_its_package_heic_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    with available(monkeypatch, *OF_PILLOW):
        with pytest.raises(ImageError, match=r"pip install 'dfal-cli\[heic\]'"):
            decode_image(tmp_path / "a.heic", (1, 32, 32))
        assert "pip install" not in not_readable("a.png")
        ended = dfal("select", "--images", tmp_path, "--strategy", "random", "--count", 1, "--out", tmp_path / "q.csv")
    assert ended.code == 3
    assert "1 other file is not read: 1 .heic; HEIC needs another package: pip install 'dfal-cli[heic]'" in ended.stderr


def test_listing_and_reading_other_images_does_not_import_the_package_of_heic(tmp_path: Path) -> None:
    (tmp_path / "a.heic").touch()
    Image.fromarray(GRADIENT).save(tmp_path / "b.png")
    before = "pillow_heif" in sys.modules
    ended = dfal("select", "--images", tmp_path, "--strategy", "random", "--count", 1, "--out", tmp_path / "q.csv")
    assert ended.code == 0
    decode_image(tmp_path / "b.png", (1, 8, 8))
    assert ("pillow_heif" in sys.modules) == before
