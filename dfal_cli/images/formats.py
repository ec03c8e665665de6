"""Image file formats: which ones are read, their suffixes, and what they require."""

import functools
import importlib.util
from typing import NamedTuple

from PIL import features

from dfal_cli.system.image_roots import TAR, UNPACKED_BY

HEIF = "HEIF"

EXTRA = "pip install 'dfal-cli[heic]'"
"""Installs the package that reads HEIF."""


class Format(NamedTuple):
    """A format and its requirements."""

    suffixes: tuple[str, ...]
    feature: str = ""
    """Optional feature of Pillow that the format needs, by its name in PIL.features."""
    package: str = ""
    """Package that the format needs besides Pillow."""

    @property
    def available(self) -> bool:
        """Whether the format can be read in this environment."""
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
"""Formats by their names in Pillow, whose other formats are left out on purpose: one of them runs Ghostscript."""

NOT_READ = frozenset({
    ".ai", ".arw", ".avifs", ".cr2", ".cr3", ".cur", ".dcm", ".dds", ".dib", ".dng", ".emf", ".eps", ".exr",
    ".fit", ".fits", ".hdr", ".heics", ".hif", ".ico", ".icns", ".jls", ".jng", ".jxl", ".jxr", ".mng", ".nef",
    ".nrw", ".orf", ".pam", ".pbm", ".pcx", ".pef", ".pfm", ".pgm", ".pnm", ".ppm", ".ps", ".psb", ".psd",
    ".qoi", ".raf", ".ras", ".raw", ".rw2", ".sgi", ".srw", ".svg", ".svgz", ".tga", ".wmf", ".x3f", ".xbm",
    ".xcf", ".xpm",
})  # fmt: skip
"""Suffixes of image formats that are not supported."""


def suffix_of(name: str) -> str:
    """Return the suffix of a file name in lower case, with its dot: .png, or .tar.gz; "" if it has none."""
    stem, dot, last = name.rpartition(".")
    suffix = f"{dot}{last}".lower() if stem else ""
    is_compressed_tar = f"{TAR}{suffix}" in UNPACKED_BY and stem.lower().endswith(TAR)
    return f"{TAR}{suffix}" if is_compressed_tar else suffix


@functools.cache
def readable_suffixes() -> frozenset[str]:
    """Return the suffixes of files that count as images."""
    return frozenset(suffix for each in FORMATS.values() if each.available for suffix in each.suffixes)


@functools.cache
def suffixes_not_read() -> frozenset[str]:
    """Return the suffixes of files that may be images and are not read; "" is one, for files without a suffix."""
    known = {suffix for each in FORMATS.values() for suffix in each.suffixes}
    return frozenset({"", TAR, *UNPACKED_BY, *NOT_READ, *known}) - readable_suffixes()


def formats_for(name: str) -> tuple[str, ...]:
    """Return the formats to try for a file. The suffix does not matter, except that HEIF needs its own."""
    if suffix_of(name) in FORMATS[HEIF].suffixes and FORMATS[HEIF].available:
        _register_heif()
        return (*_of_pillow(), HEIF)
    return _of_pillow()


def not_readable(name: str) -> str:
    """Return the reason why a file that is in none of `formats_for(name)` cannot be read."""
    return remedy_for(suffix_of(name)) or f"not an image in a format that can be read ({', '.join(formats_for(name))})"


def remedy_for(suffix: str) -> str:
    """Return what to install for files with this suffix; "" if no package is missing."""
    if suffix in FORMATS[HEIF].suffixes and not FORMATS[HEIF].available:
        return f"HEIC needs another package: {EXTRA}"
    if suffix in UNPACKED_BY:
        return "images are not read from compressed tars: decompress them to .tar"
    if suffix == TAR:
        return "a .tar is read only from a folder on disk: copy it there"
    return ""


@functools.cache
def _of_pillow() -> tuple[str, ...]:
    return tuple(name for name, each in FORMATS.items() if not each.package and each.available)


@functools.cache
def _register_heif() -> None:
    """Register HEIF with Pillow; only when it is needed, because the import is slow."""
    import pillow_heif

    pillow_heif.register_heif_opener()


def _has(feature: str) -> bool:
    """Return whether this version of Pillow has the feature."""
    return feature in {*features.modules, *features.codecs} and bool(features.check(feature))
