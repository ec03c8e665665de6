"""What may be an image root: a folder, a tar file, or the URL of an object store."""

from pathlib import Path


class Url(str):
    """The URL of an image root that is no path, such as s3://bucket/folder."""

    __slots__ = ()


ImageRoot = Path | Url
"""A folder, a tar file, or the URL of an object store."""

TAR = ".tar"
"""Suffix of a tar, which is read like a folder."""

UNPACKED_BY = {
    ".tar.gz": "gunzip", ".tgz": "gunzip", ".tar.bz2": "bunzip2", ".tbz2": "bunzip2", ".tar.xz": "unxz",
    ".txz": "unxz", ".tar.zst": "unzstd",
}  # fmt: skip
"""Suffixes of compressed tars, which can only be read from their beginning -> the program that decompresses them."""


def image_root(text: str) -> ImageRoot:
    """Return the image root that a text names: one with :// is a URL, of which file:// is a path."""
    scheme, mark, place = text.partition("://")
    if not mark:
        return Path(text)
    return Path(f"/{place.lstrip('/')}") if scheme == "file" else Url(text.rstrip("/") if place else text)


def is_image_root(root: ImageRoot) -> bool:
    """Return whether a path is a folder or a tar; the URL of an object store is not looked up."""
    return isinstance(root, Url) or root.is_dir() or is_tar(root)


def is_tar(path: Path) -> bool:
    """Return whether a path is a tar file, by its suffix."""
    return path.suffix.lower() == TAR and path.is_file()


def resolved(root: ImageRoot) -> ImageRoot:
    """Return an image root as an absolute path without links, or as its URL."""
    return root if isinstance(root, Url) else root.resolve()
