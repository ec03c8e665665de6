"""Images to choose from before anything is trained: all that are neither labelled nor excluded."""

from pathlib import Path

import pandas as pd

from dfal_cli.images import ImageFolder, ImageSource
from dfal_cli.images.pool import find_embedded_pool, find_pool, report_unread
from dfal_cli.schemas import IMAGE, TWIN
from dfal_cli.steps.select.candidates import Candidates, classes_of, existence_test, source_under
from dfal_cli.steps.select.embedded import with_embeddings
from dfal_cli.steps.select.options import SelectOptions
from dfal_cli.strategies import Pool
from dfal_cli.system.image_roots import ImageRoot
from dfal_cli.system.paths import root_named_in_file
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables.embeddings import read_embedded_images, read_embeddings_metadata


def listed_candidates(
    options: SelectOptions, root: ImageRoot, images: ImageSource | None, reporter: Reporter
) -> Candidates:
    """The images under the root. `images` replace them, if given. Raises UsageError or DataError as `select`."""
    folder = ImageFolder(root, follow_links=options.follow_links)
    found = find_pool(images or folder, options.labels, options.exclude, reporter)
    counts = found.counts | report_unread(root, found.listing, reporter)
    pool = Pool(pd.DataFrame({IMAGE: found.listing.images, TWIN: ""}))
    return Candidates(
        pool, counts, root, lambda image: True, {"follow_links": options.follow_links}, {"scores": ""}, None,
        classes_of(found.known.labels),
    )  # fmt: skip


def embedded_candidates(
    options: SelectOptions, file: Path, images: ImageSource | None, reporter: Reporter
) -> Candidates:
    """The images of an embeddings file. `images` replace the image root, if given.

    Raises UsageError or DataError as `select`.
    """
    metadata = read_embeddings_metadata(file)
    stored = metadata.get("image_root")
    root = options.images or (root_named_in_file(stored, file) if stored else None)
    follow_links = options.follow_links or metadata.get("follow_links", False)
    source = source_under(root, images, file, reporter, follow_links=follow_links)
    found = find_embedded_pool(file, read_embedded_images(file), options.labels, options.exclude, reporter)
    pool, sha256 = with_embeddings(file, options, pd.DataFrame({IMAGE: found.images, TWIN: ""}), found.known, reporter)
    return Candidates(
        pool, found.counts, root, existence_test(source), metadata | {"follow_links": follow_links},
        {"scores": "", "embeddings": sha256}, source, classes_of(found.known.labels),
    )  # fmt: skip
