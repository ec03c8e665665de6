"""Images of every mode are decoded upright, or raise an error with the reason."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dfal_cli.images import ImageError, decode_image, probe_image

GENERATOR = np.random.default_rng(0)
HEIGHT, WIDTH = 12, 20
GREY = GENERATOR.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
COLOUR = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
COLOUR[: HEIGHT // 2, : WIDTH // 2] = (200, 0, 0)
COLOUR[: HEIGHT // 2, WIDTH // 2 :] = (0, 200, 0)
COLOUR[HEIGHT // 2 :, : WIDTH // 2] = (0, 0, 200)
"""Four quarters, all different: every turn of it shows."""


def save(path: Path, pixels: Any, mode: str | None = None, **settings: Any) -> Path:
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **settings)
    return path


def decoded(path: Path, channels: int = 3) -> np.ndarray:
    """(H, W, C) at the image's own size."""
    probe = probe_image(path)
    return decode_image(path, (channels, probe.height, probe.width)).transpose(1, 2, 0)


KINDS: list[tuple[str, Any, str | None, dict[str, Any], bool]] = [
    ("1.png", GREY, "1", {}, True),
    ("L.png", GREY, None, {}, True),
    ("LA.png", GREY, "LA", {}, True),
    ("P.png", COLOUR, "P", {}, False),
    ("P-transparent.png", COLOUR, "P", {"transparency": 0}, False),
    ("L-transparent.png", GREY, None, {"transparency": 0}, True),
    ("RGB-transparent.png", COLOUR, None, {"transparency": (0, 0, 0)}, False),
    ("RGB.png", COLOUR, None, {}, False),
    ("RGBA.png", COLOUR, "RGBA", {}, False),
    ("I16.png", GREY.astype(np.uint16) * 257, None, {}, True),
    ("I16.tif", GREY.astype(np.uint16) * 257, None, {}, True),
    ("I.tif", GREY.astype(np.int32) * 257, None, {}, True),
    ("F.tif", GREY.astype(np.float32) / 255, None, {}, True),
    ("L.jpg", GREY, None, {}, True),
    ("RGB.jpeg", COLOUR, None, {}, False),
    ("CMYK.jpg", COLOUR, "CMYK", {}, False),
    ("YCbCr.tif", COLOUR, "YCbCr", {}, False),
    ("LAB.tif", COLOUR, "LAB", {}, False),
    ("CMYK.tif", COLOUR, "CMYK", {"compression": "tiff_lzw"}, False),
    ("RGBA.tiff", COLOUR, "RGBA", {}, False),
    ("RGB.bmp", COLOUR, None, {}, False),
    ("P.gif", COLOUR, "P", {}, False),
    ("RGB.webp", COLOUR, None, {"lossless": True}, False),
    ("RGBA.webp", COLOUR, "RGBA", {"lossless": True}, False),
]


@pytest.mark.parametrize(("name", "pixels", "mode", "settings", "grey"), KINDS, ids=[kind[0] for kind in KINDS])
def test_every_mode_is_decoded_as_grey_and_as_colour_at_the_requested_size(
    tmp_path: Path, name: str, pixels: Any, mode: str | None, settings: dict[str, Any], grey: bool
) -> None:
    path = save(tmp_path / name, pixels, mode, **settings)
    assert probe_image(path)[:3] == (grey, HEIGHT, WIDTH)
    for shape in ((1, HEIGHT, WIDTH), (3, HEIGHT, WIDTH), (3, 7, 5), (1, 40, 30)):
        result = decode_image(path, shape)
        assert (result.shape, result.dtype) == (shape, np.uint8)
        assert result.std() > 0


@pytest.mark.parametrize("name", ["L.png", "I16.png", "I16.tif", "I.tif", "F.tif"])
def test_grey_images_of_any_bit_depth_are_scaled_to_the_same_8_bits(tmp_path: Path, name: str) -> None:
    _, pixels, mode, settings, _ = next(kind for kind in KINDS if kind[0] == name)
    path = save(tmp_path / name, pixels, mode, **settings)
    np.testing.assert_array_equal(decoded(path, 1)[..., 0], GREY)
    np.testing.assert_array_equal(decoded(path, 3), np.repeat(GREY[..., None], 3, 2))


def test_a_dark_16_bit_image_stays_dark(tmp_path: Path) -> None:
    path = save(tmp_path / "dark.png", np.full((4, 4), 2570, np.uint16))
    assert (decoded(path, 1) == 10).all()


@pytest.mark.parametrize("name", ["RGB.png", "P.png", "RGB.bmp", "RGB.webp", "RGBA.tiff", "P.gif"])
def test_colours_are_kept(tmp_path: Path, name: str) -> None:
    _, pixels, mode, settings, _ = next(kind for kind in KINDS if kind[0] == name)
    difference = decoded(save(tmp_path / name, pixels, mode, **settings)).astype(int) - COLOUR
    assert np.abs(difference).max() <= 60  # a palette has its own idea of 200


@pytest.mark.parametrize(("name", "mode"), [("a.png", "LA"), ("a.png", "RGBA"), ("a.tif", "RGBA"), ("a.webp", "RGBA")])
def test_transparent_pixels_become_white(tmp_path: Path, name: str, mode: str) -> None:
    image = Image.new(mode, (8, 4), (0,) * len(mode))
    image.paste((100,) * (len(mode) - 1) + (255,), (0, 0, 4, 4))
    image.save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
    for channels in (1, 3):
        assert (decoded(tmp_path / name, channels)[:, 4:] == 255).all()
        assert (decoded(tmp_path / name, channels)[:, :4] == 100).all()


def test_half_transparent_pixels_are_half_white(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 2), (0, 0, 0, 128)).save(tmp_path / "a.png")
    assert decoded(tmp_path / "a.png")[0, 0].tolist() == [127, 127, 127]


def test_a_transparent_palette_entry_is_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    image.save(tmp_path / "a.png", transparency=0)
    assert decoded(tmp_path / "a.png")[0].tolist() == [[255, 255, 255], [0, 0, 255]]


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.tif", "a.png"])
def test_an_animation_gives_its_first_frame(tmp_path: Path, name: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "blue")]
    settings = {"lossless": True} if name.endswith("webp") else {}
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **settings)
    assert decoded(tmp_path / name)[3, 3].tolist() == [255, 0, 0]


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """As the EXIF standard defines the eight orientations: where row 0 and column 0 of the file are shown."""
    across = pixels.transpose(1, 0, 2)
    return {
        1: pixels, 2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1],
        5: across, 6: across[:, ::-1], 7: across[::-1, ::-1], 8: across[::-1],
    }[orientation]  # fmt: skip


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_exif_orientation_is_applied(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless: dict[str, Any] = {"jpg": {"quality": 95, "subsampling": 0}, "webp": {"lossless": True}}.get(suffix, {})
    path = save(tmp_path / f"a.{suffix}", COLOUR, exif=exif, **lossless)
    expected = turned(COLOUR, orientation)
    assert probe_image(path)[:3] == (False, *expected.shape[:2])
    result = decode_image(path, (3, *expected.shape[:2])).transpose(1, 2, 0).astype(int)
    middles = np.ix_([1, -2], [1, -2])
    assert np.abs(result[middles] - expected[middles]).max() < 30


def exif_of(*entries: tuple[int, int, int, int]) -> bytes:
    """EXIF with the entries (tag, type, count, value) as they are, sound or not."""
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + packed + b"\0\0\0\0"


ORIENTATION = (0x0112, 3, 1, 6)
BROKEN_EXIF = {
    "garbage": b"Exif\0\0garbage",
    "empty": b"Exif\0\0",
    "unknown type": exif_of(ORIENTATION, (271, 99, 1, 0)),
    "outside": exif_of((271, 2, 100, 99_999), ORIENTATION),
    "gps nowhere": exif_of(ORIENTATION, (0x8825, 4, 1, 99_999)),
    "a circle": exif_of(ORIENTATION, (0x8769, 4, 1, 8)),
    "no value": exif_of((0x0112, 3, 0, 6)),
    "a word": exif_of((0x0112, 2, 3, 0x41424344)),
    "ninth": exif_of((0x0112, 3, 1, 9)),
    "cut": exif_of(ORIENTATION)[:20],
}


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("exif", BROKEN_EXIF.values(), ids=BROKEN_EXIF)
def test_an_image_with_broken_exif_is_read(tmp_path: Path, suffix: str, exif: bytes) -> None:
    path = save(tmp_path / f"a.{suffix}", COLOUR, exif=exif)
    assert decode_image(path, (3, 12, 20)).shape == (3, 12, 20)
    assert {probe_image(path).height, probe_image(path).width} == {12, 20}


def bomb(path: Path) -> None:
    """A PNG of a few bytes that claims to be 100,000 x 100,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


def cut(path: Path, suffix: str) -> None:
    noise = GENERATOR.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    content = save(path.with_suffix(suffix), noise).read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: cut(path, ".jpg"), "truncated"),
        (lambda path: cut(path, ".png"), "truncated"),
        (lambda path: path.write_bytes(b""), "not an image"),
        (lambda path: path.write_text("<html>404 not found</html>"), "not an image"),
        (bomb, "pixels"),
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "a folder"),
    ],
    ids=["half a JPEG", "half a PNG", "zero bytes", "HTML", "bomb", "absent", "folder"],
)
def test_unreadable_images_are_reported_with_a_reason(tmp_path: Path, make: Any, reason: str) -> None:
    path = tmp_path / "a.jpg"
    make(path)
    with pytest.raises(ImageError, match=f"(?i){reason}"):
        decode_image(path, (3, 8, 8))
