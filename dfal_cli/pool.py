"""The pool: images under the image root that have no label yet."""

import hashlib
import heapq
from collections.abc import Sequence
from pathlib import Path

from dfal_cli.errors import DataError
from dfal_cli.images import ImageSource, Listing
from dfal_cli.tables import read_excluded, read_labels_files, settled_images


def find_pool(images: ImageSource, labels: Sequence[Path], exclude: Sequence[Path]) -> Listing:
    """The images that no labels file has settled (labelled or __skip__) and no `exclude` file names.

    Raises UsageError if a named file or folder does not exist, DataError if nothing is left.
    """
    paths, unreadable = images.listing()
    if not paths:
        others = f"; {first_of(unreadable)}" if unreadable else ""
        raise DataError(f"{images.root}: no images there (png, jpg, jpeg, gif, bmp, tif, tiff, webp){others}")
    taken = settled_images(read_labels_files(labels)) | read_excluded(exclude)
    pool = [image for image in paths if image not in taken]
    if not pool:
        raise DataError(f"{images.root}: the pool is empty: all {len(paths)} images are labelled or excluded")
    return Listing(pool, [(image, reason) for image, reason in unreadable if image not in taken])


def draw_candidates(pool: list[str], candidates: int | None, seed: int) -> list[str]:
    """A random `candidates` of the pool, in its order (the paper draws 300); all of it if None.

    Each image has its own lot, so that of two pools of one size the images that both hold are drawn alike. The size is
    part of it: as a pool shrinks from round to round, the same seed must not draw what it has drawn before.
    """
    if candidates is None or candidates >= len(pool):
        return pool
    lots = [hashlib.blake2b(f"{seed}/{len(pool)}/{image}".encode(), digest_size=16).digest() for image in pool]
    chosen = heapq.nsmallest(candidates, range(len(pool)), key=lots.__getitem__)
    return [pool[place] for place in sorted(chosen)]


def first_of(unreadable: Sequence[tuple[str, str]]) -> str:
    """How many there are, and what the first of them is, in one sentence."""
    image, reason = unreadable[0]
    return f"{len(unreadable)} cannot be read, the first: {image!r}: {reason}"
