"""The images of a step behind one interface: a folder on disk, or images decoded beforehand (`PreparedImages`)."""

import contextlib
import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dfal_cli.errors import UsageError
from dfal_cli.images.cache import cached
from dfal_cli.images.decode import InputFormat, Probe, probe_image
from dfal_cli.images.folder import Listing, is_text, list_images, resolve_image
from dfal_cli.images.stream import DecodedBatch, ImageReader, read_batches, read_from_disk
from dfal_cli.system.files import is_file
from dfal_cli.system.fingerprints import FileState, file_state, sha256_or_empty
from dfal_cli.system.paths import must_exist
from dfal_cli.system.reporting import Reporter


class ImageSource(Protocol):
    """The images under an image root, identified by their paths relative to it."""

    @property
    def root(self) -> Path:
        """The image root."""

    def listing(self) -> Listing:
        """Return all images, and the files that look like images and cannot be read. Raises UsageError."""

    def is_there(self, image: str) -> bool:
        """Return whether the file exists; it need not be a readable image."""

    def probe(self, image: str) -> Probe:
        """Return the kind and size of an image. Raises ImageError."""

    def file_state(self, image: str) -> FileState | None:
        """Return the state of the file, which changes with it and is quick to read; None if the file is missing."""

    def content_hash(self, image: str) -> str:
        """Return a hash of the file's contents; "" if the file is missing."""

    def batches(
        self, batches: Iterable[Sequence[str]], input_format: InputFormat, workers: int | None
    ) -> Iterator[DecodedBatch]:
        """Yield batches of images, decoded; see `read_batches`."""


@dataclass(frozen=True)
class ImageFolder:
    """The images of a folder, read on each request."""

    root: Path
    reader: ImageReader = read_from_disk
    follow_links: bool = False
    """Whether links may lead out of the folder; `reader` must agree."""

    def listing(self) -> Listing:
        """Return all images, and the files that look like images and cannot be read. Raises UsageError."""
        must_exist(self.root, "--images", folder=True)
        if not is_text(str(self.root.absolute())):
            raise UsageError(f"{self.root.absolute()}: not UTF-8, so no table can refer to it; rename it (--images)")
        return list_images(self.root, follow_links=self.follow_links)

    def is_there(self, image: str) -> bool:
        """Return whether the file exists."""
        return is_file(self.root / image)

    def probe(self, image: str) -> Probe:
        """Return the kind and size of an image, from its header. Raises ImageError."""
        return probe_image(resolve_image(self.root, image, follow_links=self.follow_links))

    def file_state(self, image: str) -> FileState | None:
        """Return the state of the file; None if it is missing."""
        return file_state(f"{self.root}/{image}")

    def content_hash(self, image: str) -> str:
        """Return the SHA-256 of the file; "" if it is missing."""
        return sha256_or_empty(self.root / image)

    def batches(
        self, batches: Iterable[Sequence[str]], input_format: InputFormat, workers: int | None
    ) -> Iterator[DecodedBatch]:
        """Yield batches of images, decoded."""
        return read_batches(self.root, batches, input_format, workers, self.reader)


@contextlib.contextmanager
def open_images(
    images: ImageSource | None, root: Path, cache: Path | None, limit: str, reporter: Reporter, *, follow_links: bool
) -> Iterator[ImageSource]:
    """Yield `images` if given, else the images of the folder `root`, read through the cache if there is one."""
    if images is not None:
        yield images
        return
    from_disk = functools.partial(read_from_disk, follow_links=follow_links)
    with cached(cache, limit, from_disk, reporter, follow_links=follow_links) as reader:
        yield ImageFolder(root, reader, follow_links)
