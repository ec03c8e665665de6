"""Labelled images that a checkpoint classifies: their table, and their logits."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from dfal_cli.errors import DataError, listed, plural
from dfal_cli.images import DecodedBatch, ImageSource
from dfal_cli.images.pool import image_names
from dfal_cli.models.head_file import LoadedHead, check_fit
from dfal_cli.schemas import IMAGE, LABEL
from dfal_cli.statistics.calibration import HIGHEST, LOWEST
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import ImageNames, NameMatcher, labelled_rows, read_excluded, read_labels_files
from dfal_cli.training.classes import unknown_classes
from dfal_cli.training.embedded import EmbeddingsOnDisk
from dfal_cli.training.head import Numbers, Targets
from dfal_cli.training.label_sets import check_images_exist
from dfal_cli.training.labelled_rows import unusable_row
from dfal_cli.training.trained_images import trained_among

Classified = Iterable[tuple[DecodedBatch, Numbers]]
"""Batches of images, with the logits of the readable ones, (B, K)."""


class LabelledSet(NamedTuple):
    """Labelled images."""

    table: pd.DataFrame
    """As `read_labels_files` returns it; only rows with a label."""
    classes: tuple[str, ...]
    """Those of the checkpoint, followed by those that only this set has."""

    @property
    def images(self) -> list[str]:
        """The images, in the order of the rows."""
        return list(self.table[IMAGE])

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield each image with its label."""
        return zip(self.table[IMAGE], self.table[LABEL], strict=True)

    @property
    def targets(self) -> Targets:
        """The class indices, (n,)."""
        return pd.Categorical(self.table[LABEL], categories=list(self.classes)).codes.astype(np.intp)


def read_labelled_set(
    files: Sequence[Path], option: str, names: ImageNames, classes: Sequence[str], reporter: Reporter,
    missing: tuple[str, str] = ("no such file", "restore"), exclude: Sequence[Path] = (),
) -> LabelledSet:  # fmt: skip
    """Read labelled images, all of which must exist.

    classes: those of the checkpoint. missing: what is said of images that do not exist, and what to do with them.
    exclude: files of images to leave out.
    Raises UsageError if a file does not exist, DataError if it is invalid, has no label, or names a missing image.
    """
    table = labelled_rows(read_labels_files(files, NameMatcher(names, tell=reporter.note, doubt=reporter.warn)))
    if table.empty:
        raise DataError(f"{files[0]}: no image has a label; {option} needs labelled images")
    table = table[~table[IMAGE].isin(read_excluded(exclude, names.renamed).images)].reset_index(drop=True)
    if table.empty:
        raise DataError(f"{files[0]}: all labelled images are named in {exclude[0]} (--exclude)")
    check_images_exist(names, [table], *missing)
    return LabelledSet(table, (*classes, *unknown_classes(table, classes)))


def logits_of_embeddings(
    file: Path, checkpoint: Path, head: LoadedHead, labelled: LabelledSet, source: EmbeddingsOnDisk, reporter: Reporter
) -> Numbers:
    """Read the embeddings of labelled images and return their logits, (n, K).

    Raises DataError if the embeddings are not those that the head takes.
    """
    source.load(frozenset(labelled.images), reporter.warn)
    vectors = source.vectors(labelled.images)
    check_fit(checkpoint, head, file, vectors.shape[1], source.description)
    return head.logits(vectors)


def logits_of_images(classified: Classified, source: ImageSource, labelled: LabelledSet, reporter: Reporter) -> Numbers:
    """Return the logits of the labelled images, (n, K). Raises DataError, with the line, if one cannot be read.

    classified: all these images, in the order of the rows.
    """
    parts: list[Numbers] = []
    with reporter.progress("evaluating", len(labelled.table), "images") as progress:
        for batch, logits in classified:
            if batch.unreadable:
                image, reason = batch.unreadable[0]
                row = labelled.table[labelled.table[IMAGE] == image].iloc[0]
                raise unusable_row(image_names(source), row, reason)
            parts.append(logits)
            progress.advance(len(batch.images))
    return np.concatenate(parts)


def trained_images(
    labelled: LabelledSet, content_hashes: Sequence[str], kind: str, metadata: Mapping[str, Any]
) -> list[str]:
    """Return those of the images that a checkpoint with these metadata was trained on, as far as it says so.

    content_hashes: of the images. kind: "images" or "embeddings", what the hashes are of.
    """
    parts = metadata.get("parts")
    if not isinstance(parts, dict) or parts.get("trained_on") != kind:
        return []
    trained = trained_among(content_hashes, metadata) or ()
    return [image for image, is_trained in zip(labelled.images, trained, strict=False) if is_trained]


def warn_of_trained(images: Sequence[str], total: int, option: str, consequence: str, reporter: Reporter) -> list[str]:
    """Warn of images that the checkpoint was trained on; return the warning, if there is one."""
    if not images:
        return []
    warning = (
        f"{len(images)} of {total} images in {option} {plural(len(images), 'is an image', 'are images')} that the "
        f"checkpoint was trained on ({listed(images, most=3)}): {consequence}"
    )
    reporter.warn(warning)
    return [warning]


def recorded_calibration(metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what the training recorded of the temperature, as far as it is valid."""
    match metadata.get("metrics"):
        case {"calibration": {"temperature": float(value), "measured_on": str()} as found} if (
            LOWEST <= value <= HIGHEST
        ):
            return {name: each for name, each in found.items() if isinstance(each, float | int | str)}
    return None
