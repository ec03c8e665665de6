"""Whatever a step asks of image files, in one object: a folder on disk, or images that have been prepared."""

import contextlib
import functools
from collections.abc import Iterator, Sequence
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
    """The images under an image root, known by their paths relative to it."""

    @property
    def root(self) -> Path:
        """The image root."""

    def listing(self) -> Listing:
        """All images, and what is called one and cannot be read. Raises UsageError."""

    def is_there(self, image: str) -> bool:
        """Whether there is a file of that name, which may be none of an image."""

    def probe(self, image: str) -> Probe:
        """An image's kind and size. Raises ImageError."""

    def file_state(self, image: str) -> FileState | None:
        """What changes when the image's file does; quick to tell. None if it is not there."""

    def content_hash(self, image: str) -> str:
        """What changes whenever the image does; "" if it is not there."""

    def batches(
        self, images: Sequence[str], input_format: InputFormat, batch_size: int, workers: int | None
    ) -> Iterator[DecodedBatch]:
        """The images as decoded batches, in order; `workers` as of `read_batches`."""


@dataclass(frozen=True)
class ImageFolder:
    """The images of a folder, read whenever they are asked for."""

    root: Path
    reader: ImageReader = read_from_disk
    follow_links: bool = False
    """Also where they lead out of the folder; the reader has been told."""

    def listing(self) -> Listing:
        """All images, and what is called one and cannot be read. Raises UsageError if there is no such folder."""
        must_exist(self.root, "--images", folder=True)
        if not is_text(str(self.root.absolute())):
            raise UsageError(f"{self.root.absolute()}: not UTF-8, and no file could name it; rename it (--images)")
        return list_images(self.root, follow_links=self.follow_links)

    def is_there(self, image: str) -> bool:
        """Whether there is a file of that name."""
        return is_file(self.root / image)

    def probe(self, image: str) -> Probe:
        """An image's kind and size, from its header. Raises ImageError."""
        return probe_image(resolve_image(self.root, image, follow_links=self.follow_links))

    def file_state(self, image: str) -> FileState | None:
        """The state of the file: a pool is too large to be read twice."""
        return file_state(f"{self.root}/{image}")

    def content_hash(self, image: str) -> str:
        """SHA-256 of the file."""
        return sha256_or_empty(self.root / image)

    def batches(
        self, images: Sequence[str], input_format: InputFormat, batch_size: int, workers: int | None
    ) -> Iterator[DecodedBatch]:
        """The images as decoded batches, in order."""
        return read_batches(self.root, images, input_format, batch_size, workers, self.reader)


@contextlib.contextmanager
def open_images(
    images: ImageSource | None, root: Path, cache: Path | None, limit: str, reporter: Reporter, *, follow_links: bool
) -> Iterator[ImageSource]:
    """Yield the images that a step was given; else those of the folder `root`, by way of the cache if there is one."""
    if images is not None:
        yield images
        return
    from_disk = functools.partial(read_from_disk, follow_links=follow_links)
    with cached(cache, limit, from_disk, reporter, follow_links=follow_links) as reader:
        yield ImageFolder(root, reader, follow_links)
