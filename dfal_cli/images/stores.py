"""Images in an object store, which fsspec reads: s3://, gs://, hf:// and others, by the extra `cloud`."""

import bisect
import contextlib
import functools
import hashlib
import io
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dfal_cli.errors import TryAgainError, UsageError
from dfal_cli.images.listing import Listing, Skipped, as_text, is_image, problem_of
from dfal_cli.system.fingerprints import FileState
from dfal_cli.system.image_roots import Url

EXTRA = "pip install 'dfal-cli[cloud]'"
"""Installs what s3://, gs:// and hf:// need."""
IN_EXTRA = ("s3", "s3a", "gs", "gcs", "hf")

VERSIONS = ("ETag", "etag", "md5Hash", "crc32c", "xet_hash", "blob_id", "LastModified", "mtime", "created")
"""What stores say of an object that changes with its contents; the first that a store knows is used."""

NOT_PLAIN = "its key has an empty part between two slashes; rename it"

MOST_ASKED = 100_000
"""Maximum number of states that are kept of images that were not listed."""

READERS = 16
"""Default number of threads that read images: each waits for the store most of the time."""


class StoredImage(NamedTuple):
    """An image in an object store. It is a `PackedFile`."""

    url: Url
    name: str

    def __str__(self) -> str:
        return f"{self.url}/{self.name}"

    def state(self) -> FileState | None:
        """Return the size and a hash of the version; None if there is no such object. Raises TryAgainError."""
        return store_of(self.url).state(self.name)

    def open(self) -> IO[bytes]:
        """Read the image. Raises FileNotFoundError and TryAgainError."""
        return io.BytesIO(store_of(self.url).read(self.name))


class _Known(NamedTuple):
    """The images of a listing, sorted, and their states."""

    images: list[str]
    sizes: npt.NDArray[np.int64]
    """(n,)"""
    versions: npt.NDArray[np.int64]
    """(n,)"""


class Store:
    """A folder in an object store. Thread-safe."""

    def __init__(self, url: Url) -> None:
        """Raises UsageError if fsspec does not know the URL, or a package is missing."""
        self._url = url
        self._filesystem, self._path = _file_system(url)
        self._is_reached = False
        self.forget()

    def forget(self) -> None:
        """Forget the states of images, as a new command begins; it uses one state of an image throughout."""
        self._known = _Known([], *np.empty((2, 0), np.int64))
        self._asked: dict[str, FileState] = {}  # of images that were asked for by name

    def listing(self) -> Listing:
        """Return all images, by their paths in the folder. Raises UsageError and TryAgainError."""
        with self._told(self._url):
            self._filesystem.invalidate_cache()
            found: dict[str, dict[str, Any]] = self._filesystem.find(self._path, detail=True)
            self._filesystem.invalidate_cache()  # it would keep all of them
        if list(found) == [self._path]:
            raise UsageError(f"{self._url}: is not a folder; copy it to disk if it is a tar (--images)")
        listing, states = _listed(found, self._path)
        sizes, versions = np.array(states, np.int64).reshape(-1, 2).T
        self._known = _Known(listing.images, sizes, versions)
        return listing._replace(images=list(listing.images))

    def state(self, image: str) -> FileState | None:
        """Return the state of an image: as listed, or by asking the store. Raises UsageError and TryAgainError."""
        known = self._known_state(image)
        if known is not None:
            return known
        try:
            with self._told(f"{self._url}/{image}"):
                found = self._filesystem.info(f"{self._path}/{image}")
        except FileNotFoundError:
            return None
        if found["type"] != "file":
            return None
        if len(self._asked) >= MOST_ASKED:
            self._asked.clear()
        state = self._asked[image] = FileState(*_state(found), 0, 0)
        return state

    def read(self, image: str) -> bytes:
        """Return the contents of an image. Raises FileNotFoundError, UsageError and TryAgainError."""
        known = self._known_state(image)
        if known is not None and known.size == 0:
            return b""
        limits = {} if known is None else {"start": 0, "end": known.size}  # s3fs asks for the size of a whole object
        with self._told(f"{self._url}/{image}"):
            content: bytes = self._filesystem.cat_file(f"{self._path}/{image}", **limits)
        return content

    def _known_state(self, image: str) -> FileState | None:
        """Return the state of an image when it was listed or asked for; None if it was not."""
        images, sizes, versions = self._known
        row = bisect.bisect_left(images, image)
        is_known = row < len(images) and images[row] == image
        return FileState(int(sizes[row]), int(versions[row]), 0, 0) if is_known else self._asked.get(image)

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Turn the errors of a store, which are of any kind, into those of dfal, except for a missing image."""
        try:
            yield
        except Exception as error:
            if isinstance(error, FileNotFoundError) and what != self._url:
                raise
            reason = " ".join(str(error).split()) or type(error).__name__
            if not self._is_reached and _is_refusal(error):
                raise UsageError(f"{what}: {reason} (--images)") from None
            raise TryAgainError(f"{what}: {reason}; run the same command again") from None
        self._is_reached = True


@functools.cache
def store_of(url: Url) -> Store:
    """Return the store of a URL. Raises UsageError if it cannot be used."""
    return Store(url)


def _file_system(url: Url) -> tuple[Any, str]:
    """Return fsspec's file system of a URL, and the path of the folder in it."""
    protocol = url.partition("://")[0]
    try:
        import fsspec

        filesystem, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        remedy = EXTRA if protocol in IN_EXTRA else f"{error}; or copy the images to disk"
        raise UsageError(f"{url}: needs another package: {remedy} (--images)") from None
    except Exception as error:  # an unknown protocol is a ValueError; file systems raise errors of their own
        raise UsageError(f"{url}: {' '.join(str(error).split())} (--images)") from None
    return filesystem, str(path).rstrip("/")


def _is_refusal(error: Exception) -> bool:
    """Return whether trying again would not help: no such bucket, not allowed, no credentials, an invalid name."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, FileNotFoundError | PermissionError | ValueError | ImportError) or any(
        word in name for name in names for word in ("Credential", "Validation", "NotFound", "Auth", "Refresh")
    )


def _listed(found: dict[str, dict[str, Any]], folder: str) -> tuple[Listing, list[tuple[int, int]]]:
    """Return the images among the objects, by key, under a folder, and their sizes and versions."""
    listing = Listing([], [], Skipped())
    states: list[tuple[int, int]] = []
    for key in sorted(found):
        name = key[len(folder) + 1 :] if folder else key
        if not is_image(name, listing.skipped):
            continue
        if problem := problem_of(name) or (NOT_PLAIN if PurePosixPath(name).as_posix() != name else ""):
            listing.unreadable.append((as_text(name), problem))
        else:
            listing.images.append(name)
            states.append(_state(found[key]))
    return listing, states


def _state(found: dict[str, Any]) -> tuple[int, int]:
    """Return the size of an object and a hash of its version, which changes with its contents."""
    version = next((str(found[name]) for name in VERSIONS if found.get(name)), "")
    digest = hashlib.blake2b(version.encode(), digest_size=8).digest()
    return int(found.get("size") or 0), int.from_bytes(digest, "big") >> 1
