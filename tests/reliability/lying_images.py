"""Images that are not what they seem, drawn byte by byte: what can be scored all the same, and what cannot, and why."""

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from dfal_cli.images.formats import FORMATS

NEW_FORMATS = [kind for kind in ("AVIF", "JPEG2000") if FORMATS[kind].available]
"""Not every Pillow has them."""

NOISE = np.random.default_rng(0).integers(0, 256, (24, 16, 3), dtype=np.uint8)
COLOUR = Image.fromarray(NOISE)
GREY = COLOUR.convert("L")
HUGE = 30_000
"""Pixels along a side."""

BLOCK = 10**6

Entry = tuple[int, int, int, int]
"""Of a TIFF or of EXIF: tag, type, count, value or offset."""

SHORT, LONG, BYTES = 3, 4, 7


def saved(image: Image.Image, kind: str, **settings: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, pixels: bytes = b"", further: bytes = b"", bits: int = 8, kind: int = 0) -> bytes:
    """A PNG of these dimensions, grey unless `kind` says otherwise, whatever its compressed pixels hold."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + further + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def zeros(count: int) -> bytes:
    """So many zero bytes, compressed a thousandfold: a block of them again and again, the rest, and their checksum."""
    compressor = zlib.compressobj(9, wbits=-15)
    block = compressor.compress(bytes(BLOCK)) + compressor.flush(zlib.Z_FULL_FLUSH)
    rest = compressor.compress(bytes(count % BLOCK)) + compressor.flush()
    return b"\x78\xda" + block * (count // BLOCK) + rest + struct.pack(">HH", count % 65_521, 1)


def tiff(entries: Sequence[Entry], tail: bytes = b"") -> bytes:
    """A TIFF of one directory; `tail` follows it."""
    packed = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + packed + bytes(4) + tail


def plain_tiff(width: int, height: int, *further: Entry) -> bytes:
    """An uncompressed grey TIFF; its pixels are whatever stands at its beginning."""
    size = width * height % 2**31
    described = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: size}
    return tiff([*((tag, LONG, 1, value) for tag, value in described.items()), *further])


def tiled_tiff(side: int) -> bytes:
    """100 x 100 pixels in one tile of `side` x `side`, all of which is there, compressed."""
    tile = zeros(side * side)
    entries = {256: 100, 257: 100, 258: 8, 259: 8, 262: 1, 277: 1, 322: side, 323: side, 325: len(tile)}
    start = len(tiff([(tag, LONG, 1, value) for tag, value in entries.items()])) + 12
    return tiff([(tag, LONG, 1, value) for tag, value in (entries | {324: start}).items()], tile)


def gif(width: int, height: int) -> bytes:
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    return b"GIF89a" + screen + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00;"


def long_gif(frames: int) -> bytes:
    two = saved(Image.new("P", (8, 8), 1), "GIF", save_all=True, append_images=[Image.new("P", (8, 8))], duration=10)
    return two[:-1] + two[two.rindex(b"\x21\xf9\x04") : -1] * frames + b";"


def webp(width: int, height: int) -> bytes:
    """An animation of one small frame on a canvas of these dimensions."""
    frame = bytes(6) + (15).to_bytes(3, "little") + (23).to_bytes(3, "little") + bytes(4)
    frame += saved(COLOUR, "WEBP", lossless=True)[12:]
    canvas = b"\x02\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    parts = ((b"VP8X", canvas), (b"ANIM", bytes(6)), (b"ANMF", frame))
    body = b"WEBP" + b"".join(kind + struct.pack("<I", len(content)) + content for kind, content in parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def bmp(width: int, height: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header


def jpeg(width: int, height: int) -> bytes:
    """A small JPEG that claims other dimensions."""
    content = saved(GREY, "JPEG")
    place = content.index(b"\xff\xc0") + 5
    return content[:place] + struct.pack(">HH", height, width) + content[place + 4 :]


def avif(width: int, height: int) -> bytes:
    """A small AVIF that claims other dimensions."""
    content = saved(COLOUR, "AVIF")
    place = content.index(b"ispe") + 8
    return content[:place] + struct.pack(">II", width, height) + content[place + 8 :]


def jpeg2000(width: int, height: int, *, in_header: bool = True) -> bytes:
    """A small JPEG 2000 whose codestream, in one tile, claims other dimensions, as its header may or may not."""
    content = bytearray(saved(COLOUR, "JPEG2000"))
    if in_header:
        struct.pack_into(">II", content, content.index(b"ihdr") + 4, height, width)
    size = content.index(b"\xff\x51") + 6
    struct.pack_into(">II", content, size, width, height)
    struct.pack_into(">II", content, size + 16, width, height)
    return bytes(content)


def with_exif(exif: bytes, kind: str = "JPEG") -> bytes:
    return saved(COLOUR, kind, exif=exif)


def turned(orientation: int) -> bytes:
    return b"Exif\0\0" + tiff([(0x0112, SHORT, 1, orientation)])


def split_exif(content: bytes) -> bytes:
    """A JPEG whose EXIF goes over as many segments as it takes."""
    parts = (b"Exif\0\0" + content[start : start + 65_000] for start in range(0, len(content), 65_000))
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part for part in parts)
    return b"\xff\xd8" + segments + saved(GREY, "JPEG")[20:]  # without its JFIF header


def endless(scans: int) -> bytes:
    """A progressive JPEG whose last scan is there so many times."""
    content = saved(Image.new("L", (2000, 2000)), "JPEG", progressive=True)
    return content[:-2] + content[content.rindex(b"\xff\xda") : -2] * scans + content[-2:]


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def of_floats(*special: float) -> bytes:
    pixels = np.asarray(GREY, np.float32) / 255
    pixels.flat[: len(special)] = special
    return saved(Image.fromarray(pixels), "TIFF")


FRAMES = {"save_all": True, "append_images": [COLOUR.rotate(180), COLOUR.rotate(90)]}
GIGABYTE = zeros(10**9)
EACH_AS_LONG_AS_THE_FILE = [(tag, BYTES, 240_000, 0) for tag in range(1000, 21_000)]
"""20,000 tags that all hold the same 240 kB: 4.8 GB."""

DRAWN_ANEW = {"AVIF": avif, "JPEG2000": jpeg2000}

SCORED = {
    **{f"{kind}{FORMATS[kind].suffixes[0]}": saved(COLOUR, kind) for kind in NEW_FORMATS},
    **{f"{kind} named.jpg": saved(COLOUR, kind) for kind in NEW_FORMATS},
    "a JPEG named.jfif": saved(COLOUR, "JPEG"),
    "a PNG named.jpg": saved(COLOUR, "PNG"),
    "a WebP named.png": saved(COLOUR, "WEBP"),
    "1x1.png": png(1, 1, zlib.compress(b"\0\x80")),
    "1x1.gif": gif(1, 1),
    "CMYK.jpg": saved(COLOUR.convert("CMYK"), "JPEG"),
    "CMYK.tif": saved(COLOUR.convert("CMYK"), "TIFF"),
    "16 bits grey.png": saved(Image.fromarray(NOISE[..., 0].astype(np.uint16) * 257), "PNG"),
    "16 bits grey.tif": saved(Image.fromarray(NOISE[..., 0].astype(np.uint16) * 257), "TIFF"),
    "16 bits grey, big-endian.tif": saved(Image.frombytes("I;16B", (12, 16), NOISE.tobytes()[:384]), "TIFF"),
    "16 bits colour.png": png(2, 2, zlib.compress(bytes(range(26))[::-1]), bits=16, kind=2),
    "1 bit.png": saved(COLOUR.convert("1"), "PNG"),
    "palette with transparency.png": saved(COLOUR.convert("P"), "PNG", transparency=0),
    "LA.png": saved(COLOUR.convert("LA"), "PNG"),
    "animated.gif": saved(COLOUR, "GIF", **FRAMES),
    "animated.webp": saved(COLOUR, "WEBP", **FRAMES),
    "animated.png": saved(COLOUR, "PNG", **FRAMES),
    "a million frames.gif": long_gif(1_000_000),
    "some pixels not finite.tif": of_floats(np.nan, np.inf, -np.inf),
    **{f"turned {orientation}.jpg": with_exif(turned(orientation)) for orientation in range(1, 9)},
    "turned 99.jpg": with_exif(turned(99)),
    "EXIF of garbage.jpg": with_exif(b"Exif\0\0" + NOISE.tobytes()),
    "EXIF of garbage.png": with_exif(b"Exif\0\0" + NOISE.tobytes(), "PNG"),
    "EXIF beyond its end.jpg": with_exif(b"Exif\0\0" + tiff([(0x010F, 2, 2**31, 2**31), (0x8769, LONG, 1, 2**32 - 1)])),
    "EXIF of 5 GB.jpg": split_exif(tiff(EACH_AS_LONG_AS_THE_FILE)),
    "EXIF of 5 GB.png": png(16, 16, zeros(17 * 16), chunk(b"eXIf", tiff(EACH_AS_LONG_AS_THE_FILE))),
    "tags of 5 GB.tif": plain_tiff(16, 16, *EACH_AS_LONG_AS_THE_FILE),
    "progressive.jpg": saved(COLOUR, "JPEG", progressive=True),
    "garbage after the end.jpg": saved(COLOUR, "JPEG") + NOISE.tobytes(),
    "garbage after the end.png": saved(COLOUR, "PNG") + NOISE.tobytes(),
}

TOO_MANY = "too many pixels: more than 89,478,485"
NO_IMAGE = "not an image in a format that can be read"
DRAWN = {"png": png, "gif": gif, "webp": webp, "bmp": bmp, "jpg": jpeg, "tif": plain_tiff}
UNREADABLE = {
    **{
        f"half a file.{kind.lower()}": (half(saved(COLOUR, kind)), "")
        for kind in ("PNG", "JPEG", "TIFF", "WEBP", "BMP")
    },
    **{f"half a file{FORMATS[kind].suffixes[0]}": (half(saved(COLOUR, kind)), "") for kind in NEW_FORMATS},
    **{
        f"claims to be huge{FORMATS[kind].suffixes[0]}": (DRAWN_ANEW[kind](HUGE // 2, HUGE // 2), TOO_MANY)
        for kind in NEW_FORMATS
    },
    **{
        f"a codestream larger than its header{FORMATS[kind].suffixes[0]}": (jpeg2000(HUGE, HUGE, in_header=False), "")
        for kind in NEW_FORMATS
        if kind == "JPEG2000"
    },
    "a Photoshop file.png": (b"8BPS\0\1" + bytes(100), NO_IMAGE),
    "zero bytes.png": (b"", NO_IMAGE),
    "a page.jpg": (b"<!DOCTYPE html><html><body>404 Not Found</body></html>", NO_IMAGE),
    "a program.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(trace) (w) file\n", NO_IMAGE),
    "0x0.png": (png(0, 0), NO_IMAGE),
    "0x0.gif": (gif(0, 0), ""),
    "0x0.bmp": (bmp(0, 0), NO_IMAGE),
    "0x0.jpg": (jpeg(0, 0), NO_IMAGE),
    "0x0.tif": (plain_tiff(0, 0), NO_IMAGE),
    **{f"claims to be huge.{suffix}": (draw(HUGE, HUGE), TOO_MANY) for suffix, draw in DRAWN.items()},
    "is huge.png": (png(HUGE, HUGE, zeros(HUGE * (HUGE + 1))), TOO_MANY),
    "a profile of a gigabyte.png": (png(16, 16, zeros(17 * 16), chunk(b"iCCP", b"x\0\0" + GIGABYTE)), "too large"),
    "a text of a gigabyte.png": (png(16, 16, zeros(17 * 16), chunk(b"zTXt", b"x\0\0" + GIGABYTE)), "too large"),
    "2000 texts.png": (png(16, 16, zeros(17 * 16), chunk(b"zTXt", b"x\0\0" + zeros(10**6)) * 2000), "Too much memory"),
    "1000 scans.jpg": (endless(1000), "too many scans: 1,006 of 4,000,000 pixels"),
    "a tile of a gigabyte.tif": (tiled_tiff(HUGE), TOO_MANY),
    "no pixel is finite.tif": (of_floats(*[np.nan, np.inf] * 192), "none of its pixels is a finite number"),
}
"""Contents, and words of the reason."""
