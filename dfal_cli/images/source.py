"""The images of a step behind one interface: an image root, or images decoded beforehand (`PreparedImages`)."""

import contextlib
import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dfal_cli.errors import UsageError
from dfal_cli.images.cache import cached
from dfal_cli.images.decode import InputFormat, Probe, probe_image
from dfal_cli.images.listing import Listing, is_text
from dfal_cli.images.roots import content_hash, is_there, list_images, resolve_image, state_of_image
from dfal_cli.images.stores import READERS, store_of
from dfal_cli.images.stream import DecodedBatch, ImageReader, read_batches, read_from_disk
from dfal_cli.system.fingerprints import FileState
from dfal_cli.system.image_roots import ImageRoot, Url
from dfal_cli.system.paths import must_be_image_root
from dfal_cli.system.reporting import Reporter


class ImageSource(Protocol):
    """The images under an image root, identified by their paths relative to it."""

    @property
    def root(self) -> ImageRoot:
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
    """The images under an image root, read on each request."""

    root: ImageRoot
    reader: ImageReader = read_from_disk
    follow_links: bool = False
    """Whether links may lead out of the root; `reader` must agree."""

    def listing(self) -> Listing:
        """Return all images, and the files that look like images and cannot be read. Raises UsageError."""
        must_be_image_root(self.root)
        place = str(self.root if isinstance(self.root, Url) else self.root.absolute())
        if not is_text(place):
            raise UsageError(f"{place}: not UTF-8, so no table can refer to it; rename it (--images)")
        return list_images(self.root, follow_links=self.follow_links)

    def is_there(self, image: str) -> bool:
        """Return whether the file exists."""
        return is_there(self.root, image)

    def probe(self, image: str) -> Probe:
        """Return the kind and size of an image, from its header. Raises ImageError."""
        return probe_image(resolve_image(self.root, image, follow_links=self.follow_links))

    def file_state(self, image: str) -> FileState | None:
        """Return the state of the file; None if it is missing."""
        return state_of_image(self.root, image)

    def content_hash(self, image: str) -> str:
        """Return the SHA-256 of the file; "" if it is missing."""
        return content_hash(self.root, image)

    def batches(
        self, batches: Iterable[Sequence[str]], input_format: InputFormat, workers: int | None
    ) -> Iterator[DecodedBatch]:
        """Yield batches of images, decoded."""
        if workers is None and isinstance(self.root, Url):
            workers = READERS
        return read_batches(self.root, batches, input_format, workers, self.reader)


@contextlib.contextmanager
def open_images(
    images: ImageSource | None,
    root: ImageRoot,
    cache: Path | None,
    limit: str,
    reporter: Reporter,
    *,
    follow_links: bool,
) -> Iterator[ImageSource]:
    """Yield `images` if given, else the images under `root`, read through the cache if there is one."""
    if images is not None:
        yield images
        return
    if isinstance(root, Url):
        store_of(root).forget()
    from_disk = functools.partial(read_from_disk, follow_links=follow_links)
    with cached(cache, limit, from_disk, reporter, follow_links=follow_links) as reader:
        yield ImageFolder(root, reader, follow_links)
