"""Images decoded once into one file, which many rounds and several processes share (`simulate`)."""

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL

from dfal_cli.images.bulk_decoding import BulkDecoder
from dfal_cli.images.decode import DECODING, InputFormat, Pixels, Probe, Shape
from dfal_cli.images.listing import Listing, Skipped
from dfal_cli.images.roots import state_of_image
from dfal_cli.images.stream import DecodedBatch, StoredImages, read_batches, read_from_disk
from dfal_cli.images.white import NO_MAX_VALUES
from dfal_cli.system.fingerprints import FileState, fingerprint
from dfal_cli.system.image_roots import ImageRoot
from dfal_cli.system.reporting import Reporter
from dfal_cli.system.state_files import read_json, write_json


@dataclass(frozen=True)
class PreparedImages:
    """An ImageSource of images that are decoded already and do not change.

    Their states and hashes are constant: the fingerprint of a simulation covers the image files.
    """

    root: ImageRoot
    pool: list[str]
    """The images that `listing` returns, sorted; other images can be read too."""
    input_format: InputFormat
    rows: dict[str, int]
    """Row of each image in `file`."""
    file: Path | None
    """.npy file of uint8 (N, C, H, W); None if the images are read from their own files each time."""
    follow_links: bool

    @property
    def shape(self) -> Shape:
        """(C, H, W)"""
        return self.input_format.shape

    def listing(self) -> Listing:
        """Return the images of the pool."""
        return Listing(self.pool, [], Skipped())

    def is_there(self, image: str) -> bool:
        """Return whether the image is among those decoded."""
        return image in self.rows

    def probe(self, image: str) -> Probe:
        """Return the same probe for all images, so that every round trains the same network."""
        channels, height, width = self.shape
        return Probe(channels == 1, height, width)

    def file_state(self, image: str) -> FileState | None:
        """Return None for all images."""
        return None

    def content_hash(self, image: str) -> str:
        """Return "" for all images."""
        return ""

    def batches(
        self, batches: Iterable[Sequence[str]], input_format: InputFormat, workers: int | None
    ) -> Iterator[DecodedBatch]:
        """Yield batches of images, decoded."""
        if self.file is None:
            reader = functools.partial(read_from_disk, follow_links=self.follow_links)
            yield from read_batches(self.root, batches, input_format, workers, reader)
            return
        mapped = _mapped(self.file)
        for batch in batches:
            rows = np.array([self.rows[image] for image in batch], np.intp)
            yield DecodedBatch(list(batch), mapped[rows], [], NO_MAX_VALUES, StoredImages(self.file, len(mapped), rows))


def prepare(
    root: ImageRoot,
    pool: Iterable[str],
    others: Iterable[str],
    *,
    image_size: int | None,
    grey: bool | None,
    white: float | None,
    follow_links: bool,
    folder: Path,
    workers: int | None,
    reporter: Reporter,
) -> PreparedImages:
    """Decode the images of `pool` and `others` into a file in `folder`, unless an earlier call has done so.

    Options that are None are chosen by the images of the pool. Raises UnreadableImagesError if images cannot be read.
    """
    listed = sorted(pool)
    images = [*listed, *sorted(set(others) - set(listed))]
    states = [state_of_image(root, image) for image in images]
    made_from = fingerprint(images, len(listed), states, image_size, grey, white, DECODING, PIL.__version__)[:16]
    file, description = folder / f"images-{made_from}.npy", folder / f"images-{made_from}.json"
    rows = {image: row for row, image in enumerate(images)}
    known = _read_description(description)
    if known is None or (known[1] and not _is_complete(file, (len(images), *known[0].shape))):
        for old in folder.glob("images-*"):
            old.unlink()
        folder.mkdir(parents=True, exist_ok=True)
        decoder = BulkDecoder(root, images, len(listed), file, workers, reporter, follow_links=follow_links)
        known = decoder.run(image_size, grey, white)
        write_json(description, {"shape": known[0].shape, "white": known[0].white, "kept": known[1]})
    input_format, is_stored = known
    return PreparedImages(root, listed, input_format, rows, file if is_stored else None, follow_links)


def _read_description(file: Path) -> tuple[InputFormat, bool] | None:
    """Return the format that an earlier call has chosen, and whether it stored the pixels; None if it is unknown."""
    match read_json(file):
        case {"shape": [int(channels), int(height), int(width)], "white": float() | None as white, "kept": bool(kept)}:
            return InputFormat((channels, height, width), white), kept
    return None


def _is_complete(file: Path, shape: tuple[int, ...]) -> bool:
    """Return whether the file exists and holds an array of this shape."""
    try:
        return _mapped(file).shape == shape
    except (OSError, ValueError, EOFError):
        return False


@functools.cache
def _mapped(file: Path) -> Pixels:
    mapped: Pixels = np.load(file, mmap_mode="r")
    return mapped
