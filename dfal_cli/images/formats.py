"""The formats of image files: which are read, by which suffixes they are known, and what some of them need."""

import functools
import importlib.util
from pathlib import Path
from typing import NamedTuple

from PIL import features

HEIF = "HEIF"

EXTRA = "pip install 'dfal-cli[heic]'"
"""What brings the package that reads HEIF."""


class Format(NamedTuple):
    """What is known of a format."""

    suffixes: tuple[str, ...]
    feature: str = ""
    """What Pillow may be built without, by the name that PIL.features gives it."""
    package: str = ""
    """What has to be installed besides Pillow."""

    @property
    def available(self) -> bool:
        """Whether it can be read here."""
        if self.package:
            return importlib.util.find_spec(self.package) is not None
        return not self.feature or _has(self.feature)


FORMATS = {
    "PNG": Format((".png", ".apng")),
    "JPEG": Format((".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo", ".jpg_large", ".jpg-large", ".jpg_orig")),
    "GIF": Format((".gif",)),
    "BMP": Format((".bmp",)),
    "TIFF": Format((".tif", ".tiff")),
    "WEBP": Format((".webp",), "webp"),
    "AVIF": Format((".avif",), "avif"),
    "JPEG2000": Format((".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"), "jpg_2000"),
    HEIF: Format((".heic", ".heif"), package="pillow_heif"),
}
"""By Pillow's names. It knows more formats; one of them starts Ghostscript."""

NOT_READ = frozenset({
    ".ai", ".arw", ".avifs", ".cr2", ".cr3", ".cur", ".dcm", ".dds", ".dib", ".dng", ".emf", ".eps", ".exr",
    ".fit", ".fits", ".hdr", ".heics", ".hif", ".ico", ".icns", ".jls", ".jng", ".jxl", ".jxr", ".mng", ".nef",
    ".nrw", ".orf", ".pam", ".pbm", ".pcx", ".pef", ".pfm", ".pgm", ".pnm", ".ppm", ".ps", ".psb", ".psd",
    ".qoi", ".raf", ".ras", ".raw", ".rw2", ".sgi", ".srw", ".svg", ".svgz", ".tga", ".wmf", ".x3f", ".xbm",
    ".xcf", ".xpm",
})  # fmt: skip
"""Suffixes of images that are never read. A file without a suffix may be an image, too."""


def suffix_of(name: str) -> str:
    """The suffix of a file's name in small letters, with its dot; "" if it has none."""
    stem, dot, suffix = name.rpartition(".")
    return f"{dot}{suffix}".lower() if stem else ""


@functools.cache
def readable_suffixes() -> frozenset[str]:
    """Those by which an image is found in a folder."""
    return frozenset(suffix for each in FORMATS.values() if each.available for suffix in each.suffixes)


@functools.cache
def suffixes_not_read() -> frozenset[str]:
    """Those of files that look like images and are left out; "" among them."""
    known = {suffix for each in FORMATS.values() for suffix in each.suffixes}
    return frozenset({"", *NOT_READ, *known}) - readable_suffixes()


def formats_for(path: Path) -> tuple[str, ...]:
    """The formats that a file may have, whatever its suffix says; HEIF only if it says so."""
    if suffix_of(path.name) in FORMATS[HEIF].suffixes and FORMATS[HEIF].available:
        _register_heif()
        return (*_of_pillow(), HEIF)
    return _of_pillow()


def not_readable(path: Path) -> str:
    """Why a file that is in none of its formats cannot be read."""
    return (
        remedy_for(suffix_of(path.name))
        or f"not an image in a format that can be read ({', '.join(formats_for(path))})"
    )


def remedy_for(suffix: str) -> str:
    """What to install so that files of that suffix can be read; "" if that is not what they lack."""
    if suffix in FORMATS[HEIF].suffixes and not FORMATS[HEIF].available:
        return f"HEIC takes another package: {EXTRA}"
    return ""


@functools.cache
def _of_pillow() -> tuple[str, ...]:
    return tuple(name for name, each in FORMATS.items() if not each.package and each.available)


@functools.cache
def _register_heif() -> None:
    """Teach Pillow the format. The import takes a moment, so only those wait who have such an image."""
    import pillow_heif

    pillow_heif.register_heif_opener()


def _has(feature: str) -> bool:
    """Whether Pillow is new enough to know the feature, and has it."""
    return feature in {*features.modules, *features.codecs} and bool(features.check(feature))
