"""The pool: images under the image root that have no label yet."""

import hashlib
import heapq
import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from dfal_cli.errors import DataError, EmptyPoolError, listed, plural, shown
from dfal_cli.images import ImageError, ImageSource, Listing, MissingImageError, Skipped
from dfal_cli.images.formats import FORMATS, remedy_for
from dfal_cli.schemas import IMAGE
from dfal_cli.system.image_roots import ImageRoot
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import ImageNames, answered_images, labelled_rows, read_excluded, read_labels_files
from dfal_cli.tables.name_columns import row_of


class KnownImages(NamedTuple):
    """Images that are not in the pool, by their names on disk."""

    labels: pd.DataFrame
    """The result of `read_labels_files`, without images that do not exist."""
    answered: set[str]
    """Images that are labelled, or marked __skip__."""
    excluded: set[str]
    """Images in an --exclude file that are not answered."""
    asked: set[str]
    """Those of the excluded images that are in query lists still being answered."""

    @property
    def outside(self) -> set[str]:
        """All these images."""
        return self.answered | self.excluded

    @property
    def to_be_learnt(self) -> set[str]:
        """Images with a label, or soon to have one: strategies that spread their picks keep away from them."""
        return set(labelled_rows(self.labels)[IMAGE]) | self.asked

    def counts(self, images: Iterable[str]) -> dict[str, int]:
        """Count those of the images that are labelled, and those that are excluded."""
        images = list(images)
        known = {"labelled": self.answered, "excluded": self.excluded}
        return {reason: sum(image in names for image in images) for reason, names in known.items()}


class Pool(NamedTuple):
    """The pool, and the images that are labelled or excluded."""

    listing: Listing
    """The images of the pool, and the unreadable files among them."""
    known: KnownImages
    labelled: list[str]
    """Existing images with a label (neither blank nor __skip__), sorted."""
    counts: dict[str, int]
    """Number of images under the root that are `labelled` (or __skip__), and that are `excluded`."""


def read_known_images(
    labels: Sequence[Path], exclude: Sequence[Path], names: ImageNames, reporter: Reporter, *, exist: bool = True
) -> KnownImages:
    """Read the labels files and the --exclude files.

    Warns of images that seem to be misspelt. Deleted ones do no harm here, so a note is enough; training warns of them.

    exist: whether the names are those of all images that exist, so that others can be said to be missing.
    Raises UsageError if a file does not exist, DataError if it is invalid or none of its images exists.
    """
    matching = names.matched(reporter.warn, reporter.note, reporter.note, reporter.warn) if exist else names.renamed
    table = read_labels_files(labels, matching)
    answered = answered_images(table)
    excluded = read_excluded(exclude, matching)
    if exist:
        table = table[table[IMAGE].map(names.is_there).astype(bool)].reset_index(drop=True)
    return KnownImages(table, answered, excluded.images - answered, excluded.asked - answered)


def find_pool(images: ImageSource, labels: Sequence[Path], exclude: Sequence[Path], reporter: Reporter) -> Pool:
    """Return the images that have no label (nor __skip__) in a labels file, and are in no `exclude` file.

    Reports images in these files that do not exist. Raises UsageError if a file or folder does not exist,
    DataError if a file is invalid or none of its images exists, EmptyPoolError if no image is left.
    """
    listing = images.listing()
    paths, unreadable, skipped = listing
    if not paths:
        problems = [f"no images ({', '.join(FORMATS)})"]
        if unreadable:
            problems.append(unreadable_in_words(unreadable))
        if skipped.hidden:
            problems.append(_hidden(skipped.hidden))
        if skipped.others:
            problems.append(_others(skipped.others))
        raise DataError(f"{images.root}: {'; '.join(problems)}")
    names = image_names(images, listing)
    known = read_known_images(labels, exclude, names, reporter)
    outside = known.outside
    pool = [image for image in paths if image not in outside]
    if not pool:
        problem = f"{images.root}: the pool is empty: all {len(paths)} images are labelled or excluded"
        raise EmptyPoolError(problem, known.counts(paths))
    left = listing._replace(images=pool, unreadable=[each for each in unreadable if each[0] not in outside])
    return Pool(left, known, sorted(labelled_rows(known.labels)[IMAGE]), known.counts(paths))


class EmbeddedPool(NamedTuple):
    """The part of an embeddings file's images that is the pool, and the labelled and excluded images."""

    images: list[str]
    known: KnownImages
    counts: dict[str, int]
    """As of a `Pool`."""


def find_embedded_pool(
    embeddings: Path,
    images: Sequence[str],
    labels: Sequence[Path],
    exclude: Sequence[Path],
    reporter: Reporter,
) -> EmbeddedPool:
    """Return the images of an embeddings file that are in the pool, sorted. Raises the errors of `find_pool`."""
    if not images:
        raise DataError(f"{embeddings}: no images")
    names = ImageNames(embeddings, frozenset(images).__contains__, lambda: images, "in")
    known = read_known_images(labels, exclude, names, reporter)
    pool = sorted(set(images) - known.outside)
    if not pool:
        problem = f"{embeddings}: the pool is empty: all {len(images)} images are labelled or excluded"
        raise EmptyPoolError(problem, known.counts(images))
    return EmbeddedPool(pool, known, known.counts(images))


def pool_in_words(counts: Mapping[str, int], labels: Sequence[Path], exclude: Sequence[Path]) -> str:
    """Return "a pool of N", with the numbers of images left out by the files that are given."""
    files_of = {"labelled": labels, "excluded": exclude}
    left_out = ", ".join(f"{counts[reason]} {reason}" for reason, files in files_of.items() if files)
    return f"a pool of {counts['pool']}" + (f" (without {left_out})" if left_out else "")


def image_names(images: ImageSource, listing: Listing | None = None) -> ImageNames:
    """Return an ImageNames for the images. listing: what is known of them, which saves looking for each."""
    if listing is None:
        return ImageNames(images.root, lambda image: not _is_missing(images, image), lambda: images.listing().images)
    paths, unreadable = listing.images, {image for image, _ in listing.unreadable}
    return ImageNames(
        images.root,
        lambda image: row_of(paths, image) >= 0 or image in unreadable or not _is_missing(images, image),
        lambda: itertools.chain(paths, unreadable),
    )


def _is_missing(images: ImageSource, image: str) -> bool:
    """Return whether the file does not exist. One that is merely unreadable is reported when it is read."""
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
    """Report files that may have been meant as images but are skipped; return the counts for `--json`."""
    if skipped.hidden:
        reporter.note(_hidden(skipped.hidden))
    if skipped.others:
        reporter.warn(_others(skipped.others))
    return {"hidden": skipped.hidden, "other_files": skipped.others.total()}


def report_unread(root: ImageRoot, listing: Listing, reporter: Reporter) -> dict[str, int]:
    """Report skipped files like `report_skipped`, and unreadable images as a warning."""
    if listing.unreadable:
        reporter.warn(f"{root}: {unreadable_in_words(listing.unreadable)}")
    return report_skipped(listing.skipped, reporter)


def _hidden(count: int) -> str:
    return f"{count} hidden {plural(count, 'file or folder is', 'files and folders are')} skipped"


def _others(counts: Counter[str]) -> str:
    """Return a sentence on files that are not read, with their suffixes, and what to install if that would help."""
    kinds = [f"{count} {suffix or 'without a suffix'}" for suffix, count in counts.most_common()]
    remedies = {remedy for suffix in counts if (remedy := remedy_for(suffix))}
    total = counts.total()
    problem = f"{total} other {plural(total, 'file is', 'files are')} not read"
    return "; ".join((f"{problem}: {listed(kinds)}", *sorted(remedies)))


def draw_candidates(pool: list[str], candidates: int | None, seed: int) -> list[str]:
    """Return a random sample of `candidates` images of the pool, in its order (the paper draws 300); all of it if None.

    The images with the smallest hashes are drawn. A hash depends on image and seed, so that two pools of the same size
    give similar samples; and on the pool size, so that the same seed gives a new sample as the pool shrinks.
    """
    if candidates is None or candidates >= len(pool):
        return pool
    hashes = (hashlib.blake2b(f"{seed}/{len(pool)}/{image}".encode(), digest_size=16).digest() for image in pool)
    chosen = heapq.nsmallest(candidates, zip(hashes, itertools.count(), strict=False))
    return [pool[index] for index in sorted(index for _, index in chosen)]


def unreadable_in_words(unreadable: Sequence[tuple[str, str]]) -> str:
    """Return a sentence with the number of unreadable images, and path and reason of the first."""
    image, reason = unreadable[0]
    count = len(unreadable)
    return (
        f"{count} {plural(count, 'image cannot be read', 'images cannot be read, the first')}: {shown(image)}: {reason}"
    )
