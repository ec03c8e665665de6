"""The labelled images that are reviewed: their labels, their embeddings or pictures, and which are copies of others."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from dfal_cli.images import ImageSource
from dfal_cli.images.pool import image_names, report_unread
from dfal_cli.schemas import IMAGE, LABEL
from dfal_cli.steps.review.options import ReviewOptions
from dfal_cli.strategies.copies import copy_groups
from dfal_cli.system.fingerprints import digest_of_many, sha256_of
from dfal_cli.system.reporting import Reporter
from dfal_cli.system.threads import one_thread
from dfal_cli.tables import ImageNames, read_excluded
from dfal_cli.tables.vectors import Values
from dfal_cli.training.embedded import EmbeddingsOnDisk
from dfal_cli.training.head import Targets
from dfal_cli.training.label_sets import LabelSets, folder_labels, read_label_sets


class Labelled(NamedTuple):
    """The n labelled images."""

    table: pd.DataFrame
    """As `read_labels_files` returns it."""
    classes: tuple[str, ...]
    """The K classes, sorted."""
    targets: Targets
    """(n,) class indices."""
    groups: Targets
    """(n,) Copies of one picture have the same number."""
    is_excluded: "pd.Series[bool]"
    """Images whose labels are not listed."""
    inputs: dict[str, Any]
    """What the list is made from, ready for JSON, without the settings."""


def embedded_labels(options: ReviewOptions, path: Path, reporter: Reporter) -> tuple[Labelled, Values]:
    """Read labels, and their embeddings of unit length, (n, d). Near copies are found by their embeddings."""
    source = EmbeddingsOnDisk(path)
    sets = _label_sets(options, source.names, lambda: folder_labels(path, source.names.all(), reporter), reporter)
    with reporter.busy("reading embeddings"):
        source.load(frozenset(sets.labels[IMAGE]), reporter.warn)
        vectors = source.vectors(list(sets.labels[IMAGE]))
    with reporter.busy("looking for copies"), one_thread():
        groups = copy_groups(vectors)
    hashes = sets.content_hashes(source.content_hash, reporter)
    return _labelled(options, source.names, sets, hashes, groups), vectors


def labels_of_images(options: ReviewOptions, source: ImageSource, reporter: Reporter) -> Labelled:
    """Read labels of images. Copies are files with equal contents."""
    names = image_names(source)

    def from_folders() -> pd.DataFrame:
        listing = source.listing()
        report_unread(source.root, listing, reporter)
        return folder_labels(source.root, listing.images, reporter)

    sets = _label_sets(options, names, from_folders, reporter)
    hashes = sets.content_hashes(source.content_hash, reporter)
    groups = np.unique(hashes["labels"], return_inverse=True)[1].reshape(-1)
    return _labelled(options, names, sets, hashes, groups)


def _label_sets(
    options: ReviewOptions, names: ImageNames, from_folders: Callable[[], pd.DataFrame], reporter: Reporter
) -> LabelSets:
    table = from_folders() if options.labels_from_folders else None
    return read_label_sets(options.labels, [], [], [], None, reporter, names, table)


def _labelled(
    options: ReviewOptions, names: ImageNames, sets: LabelSets, hashes: Mapping[str, list[str]], groups: Targets
) -> Labelled:
    table = sets.labels
    excluded = read_excluded(options.exclude, names.renamed).images
    is_excluded = table[IMAGE].isin(excluded)
    targets = pd.Categorical(table[LABEL], categories=list(sets.classes)).codes.astype(np.intp)
    inputs = {
        "labels": digest_of_many(zip(table[IMAGE], table[LABEL], hashes["labels"], strict=True)),
        "exclude": digest_of_many((image,) for image in table[IMAGE][is_excluded]),
        "weights": sha256_of(options.weights) if options.weights else "",
    }
    return Labelled(table, sets.classes, targets, groups, is_excluded, inputs)
