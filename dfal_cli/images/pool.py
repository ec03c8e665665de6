"""The pool: images under the image root that have no label yet."""

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from dfal_cli.errors import DataError, EmptyPoolError, listed, shown
from dfal_cli.images import ImageError, ImageSource, Listing, MissingImageError, Skipped
from dfal_cli.images.formats import FORMATS, remedy_for
from dfal_cli.schemas import IMAGE
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import ImageNames, NameMatcher, answered_images, labelled_rows, read_excluded, read_labels_files


class KnownImages(NamedTuple):
    """What is not to be asked about, by the names of the images on disk."""

    labels: pd.DataFrame
    """As `read_labels_files` makes it."""
    settled: set[str]
    """Labelled or __skip__."""
    excluded: set[str]
    """Named in an --exclude file, and not settled."""

    def counts(self, images: Iterable[str]) -> dict[str, int]:
        """How many of these images are taken, for each reason."""
        images = list(images)
        reasons = {"labelled": self.settled, "excluded": self.excluded}
        return {reason: sum(image in taken for image in images) for reason, taken in reasons.items()}


class Pool(NamedTuple):
    """The pool, and what is not in it any more."""

    listing: Listing
    """The images of the pool, and what is called one and cannot be read."""
    labelled: list[str]
    """The images that have a label (neither blank nor __skip__) and are there, sorted."""
    counts: dict[str, int]
    """How many images of the root are `labelled` (or __skip__) and how many `excluded`."""


def read_known_images(labels: Sequence[Path], exclude: Sequence[Path], matching: NameMatcher) -> KnownImages:
    """Read what the files settle or exclude.

    Raises UsageError if a file does not exist, DataError if it is not the table it should be, and as `matching` does.
    """
    table = read_labels_files(labels, matching)
    settled = answered_images(table)
    return KnownImages(table, settled, read_excluded(exclude, matching) - settled)


def find_pool(
    images: ImageSource, labels: Sequence[Path], exclude: Sequence[Path], warn: Callable[[str], None]
) -> Pool:
    """The images that no labels file has settled (labelled or __skip__) and no `exclude` file names.

    Warns of named images that are not there. Raises UsageError if a named file or folder does not exist, DataError as
    `read_known_images` and if no image that a file names is there, EmptyPoolError if nothing is left.
    """
    listing = images.listing()
    paths, unreadable, skipped = listing
    if not paths:
        told = [f"no images there ({', '.join(FORMATS)})"]
        if unreadable:
            told.append(unreadable_in_words(unreadable))
        if skipped.hidden:
            told.append(_hidden(skipped.hidden))
        if skipped.others:
            told.append(_others(skipped.others))
        raise DataError(f"{images.root}: {'; '.join(told)}")
    names = image_names(images, [*paths, *(image for image, _ in unreadable)] if labels or exclude else ())
    taken = read_known_images(labels, exclude, names.matched(warn))
    out = taken.settled | taken.excluded
    pool = [image for image in paths if image not in out]
    if not pool:
        problem = f"{images.root}: the pool is empty: all {len(paths)} images are labelled or excluded"
        raise EmptyPoolError(problem, taken.counts(paths))
    left = listing._replace(images=pool, unreadable=[each for each in unreadable if each[0] not in out])
    labelled = sorted(image for image in labelled_rows(taken.labels)[IMAGE] if names.is_there(image))
    return Pool(left, labelled, taken.counts(paths))


def image_names(images: ImageSource, listed: Iterable[str] = ()) -> ImageNames:
    """The names of the images; those that have been `listed` need not be looked for."""
    known = frozenset(listed)
    return ImageNames(
        images.root,
        lambda image: image in known or not _is_missing(images, image),
        lambda: known or images.listing().images,
    )


def _is_missing(images: ImageSource, image: str) -> bool:
    """Not so if it is only out of reach, which is said of it when it is read."""
    if images.is_there(image):
        return False
    try:
        images.probe(image)
    except MissingImageError:
        return True
    except ImageError:
        pass
    return False


def report_skipped(skipped: Skipped, reporter: Reporter) -> dict[str, int]:
    """Tell of files that might be taken for images and are not in the pool; returns the counts for `--json`."""
    if skipped.hidden:
        reporter.note(_hidden(skipped.hidden))
    if skipped.others:
        reporter.warn(_others(skipped.others))
    return {"hidden": skipped.hidden, "other_files": skipped.others.total()}


def report_unread(root: Path, listing: Listing, reporter: Reporter) -> dict[str, int]:
    """The same, and a warning of the images of this listing that cannot be read."""
    if listing.unreadable:
        reporter.warn(f"{root}: {unreadable_in_words(listing.unreadable)}")
    return report_skipped(listing.skipped, reporter)


def _hidden(count: int) -> str:
    return f"{count} hidden files and folders are skipped" if count > 1 else "1 hidden file or folder is skipped"


def _others(counts: Counter[str]) -> str:
    """How many files are not read, of which kinds, and what to do about it where something can be done."""
    kinds = [f"{count} {suffix or 'without a suffix'}" for suffix, count in counts.most_common()]
    remedies = {remedy for suffix in counts if (remedy := remedy_for(suffix))}
    total = counts.total()
    said = f"{total} other files are not read" if total > 1 else "1 other file is not read"
    return "; ".join((f"{said}: {listed(kinds)}", *sorted(remedies)))


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


def unreadable_in_words(unreadable: Sequence[tuple[str, str]]) -> str:
    """How many there are, and what the first of them is, in one sentence."""
    image, reason = unreadable[0]
    told = f"{len(unreadable)} images cannot be read, the first" if len(unreadable) > 1 else "1 image cannot be read"
    return f"{told}: {shown(image)}: {reason}"
