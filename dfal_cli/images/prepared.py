"""Images decoded once into one file, for many rounds over them and for several processes at a time."""

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL

from dfal_cli.images.bulk_decoding import Preparing
from dfal_cli.images.decode import DECODING, InputFormat, Pixels, Probe, Shape
from dfal_cli.images.folder import Listing, Skipped
from dfal_cli.images.stream import DecodedBatch, read_batches, read_from_disk
from dfal_cli.images.white import NO_MAX_VALUES
from dfal_cli.system.fingerprints import FileState, file_state, fingerprint
from dfal_cli.system.reporting import Reporter
from dfal_cli.system.state_files import read_json, write_json


@dataclass(frozen=True)
class PreparedImages:
    """An ImageSource of images that are known by now, and do not change: what is made from them says so already."""

    root: Path
    pool: list[str]
    """The images it lists, sorted; it knows others besides."""
    input_format: InputFormat
    places: dict[str, int]
    """Where in `file` an image is."""
    file: Path | None
    """uint8 (N, C, H, W), .npy; None if the images are read from disk each time."""
    follow_links: bool

    @property
    def shape(self) -> Shape:
        """(C, H, W)"""
        return self.input_format.shape

    def listing(self) -> Listing:
        """The images of the pool."""
        return Listing(self.pool, [], Skipped())

    def is_there(self, image: str) -> bool:
        """Whether it has been prepared."""
        return image in self.places

    def probe(self, image: str) -> Probe:
        """What was found to be common to all images, so that every round has the same network."""
        channels, height, width = self.shape
        return Probe(channels == 1, height, width)

    def file_state(self, image: str) -> FileState | None:
        """Always the same."""
        return None

    def content_hash(self, image: str) -> str:
        """Always the same."""
        return ""

    def batches(
        self, images: Sequence[str], input_format: InputFormat, batch_size: int, workers: int | None
    ) -> Iterator[DecodedBatch]:
        """The images as decoded batches, in order."""
        if self.file is None:
            reader = functools.partial(read_from_disk, follow_links=self.follow_links)
            yield from read_batches(self.root, images, input_format, batch_size, workers, reader)
            return
        for start in range(0, len(images), batch_size):
            batch = list(images[start : start + batch_size])
            yield DecodedBatch(batch, _mapped(self.file)[[self.places[image] for image in batch]], [], NO_MAX_VALUES)


def prepare(
    root: Path,
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
    """Decode `pool` and `others` into `folder`, unless that has been done; to a format as told, or as the pool's is.

    Raises UnreadableImagesError if some cannot be read.
    """
    listed = sorted(pool)
    images = [*listed, *sorted(set(others) - set(listed))]
    states = [file_state(f"{root}/{image}") for image in images]
    made_from = fingerprint(images, len(listed), states, image_size, grey, white, DECODING, PIL.__version__)[:16]
    file, settled = folder / f"images-{made_from}.npy", folder / f"images-{made_from}.json"
    places = {image: place for place, image in enumerate(images)}
    known = _settled(settled)
    if known is None or (known[1] and not _is_whole(file, (len(images), *known[0].shape))):
        for old in folder.glob("images-*"):
            old.unlink()
        folder.mkdir(parents=True, exist_ok=True)
        preparing = Preparing(root, images, len(listed), file, workers, reporter, follow_links=follow_links)
        known = preparing.run(image_size, grey, white)
        write_json(settled, {**known[0]._asdict(), "kept": known[1]})
    input_format, kept = known
    return PreparedImages(root, listed, input_format, places, file if kept else None, follow_links)


def _settled(file: Path) -> tuple[InputFormat, bool] | None:
    """The format of images prepared before, and whether they are kept; None if that is not known."""
    match read_json(file):
        case {"shape": [int(channels), int(height), int(width)], "white": float() | None as white, "kept": bool(kept)}:
            return InputFormat((channels, height, width), white), kept
    return None


def _is_whole(file: Path, shape: tuple[int, ...]) -> bool:
    """Whether the file is there and holds an array of that shape."""
    try:
        return _mapped(file).shape == shape
    except (OSError, ValueError, EOFError):
        return False


@functools.cache
def _mapped(file: Path) -> Pixels:
    mapped: Pixels = np.load(file, mmap_mode="r")
    return mapped
