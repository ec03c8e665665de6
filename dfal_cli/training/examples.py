"""Labelled images and their twins, in memory, ready to train on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dfal_cli.errors import DataError, shown
from dfal_cli.images import (
    NO_MAX_VALUES,
    ImageSource,
    InputFormat,
    Shape,
    scale_warnings,
)
from dfal_cli.images.pool import image_names
from dfal_cli.schemas import IMAGE, LABEL, SKIP, TWIN
from dfal_cli.system.device import on_device
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import location_of
from dfal_cli.tables.twins import TwinError, TwinShapeError, read_twin

DECODED_AT_ONCE = 64

READY_BYTES = 10**9
"""Examples that take no more than that as floats are kept ready on the device."""


class Ready(NamedTuple):
    """Examples on the device that computes."""

    number: int
    classes: int
    """Larger than all labels."""
    shape: Shape
    device: torch.device
    batch: Callable[[Tensor], tuple[Tensor, Tensor]]
    """Items, on the device -> float images in [0, 1], (B, C, H, W), and labels (B,)."""


class Examples(NamedTuple):
    """Labelled images, followed by twins; item i < N is image i, item N + j is twin j."""

    images: Tensor
    """(N, C, H, W) uint8: eight bits are what the files hold."""
    labels: Tensor
    """(N,) int64 class indices; those of classes that the network has no output for come after all others."""
    twins: Tensor
    """(M, C, H, W) float32: eight bits would erase a small perturbation."""
    twin_of: Tensor
    """(M,) int64: the image each twin belongs to, and has its label and its side of the split from."""

    def __len__(self) -> int:
        return len(self.labels) + len(self.twin_of)

    def batch(self, items: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """The items as float images in [0, 1], (B, C, H, W), and labels (B,), on `device`."""
        count = len(self.labels)
        plain = items < count
        images = torch.empty(len(items), *self.images.shape[1:])
        images[plain] = self.images[items[plain]].float() / 255
        images[~plain] = self.twins[items[~plain] - count]
        owners = items.clone()
        owners[~plain] = self.twin_of[items[~plain] - count]
        return on_device(images, device), on_device(self.labels[owners], device)

    def ready(self, device: torch.device) -> "Ready":
        """The same examples, as floats on `device` already if they are not too many."""
        shape = self.images.shape[1:]
        channels, height, width = shape
        known = (len(self), int(self.labels.max()) + 1, (channels, height, width), device)
        if 4 * len(self) * shape.numel() > READY_BYTES:
            return Ready(*known, lambda items: self.batch(items.cpu(), device))
        images, labels = self.batch(torch.arange(len(self)), device)
        return Ready(*known, lambda items: (images[items], labels[items]))

    def of_images(self, chosen: Tensor) -> "Examples":
        """The chosen images, (N,) bool, together with their twins."""
        place = chosen.cumsum(0) - 1
        kept = chosen[self.twin_of]
        return Examples(self.images[chosen], self.labels[chosen], self.twins[kept], place[self.twin_of[kept]])

    def without_twins(self) -> "Examples":
        """The images alone."""
        return Examples(self.images, self.labels, self.twins[:0], self.twin_of[:0])

    def followed_by(self, others: "Examples") -> "Examples":
        """These images and then the others, and their twins likewise."""
        return Examples(
            torch.cat([self.images, others.images]),
            torch.cat([self.labels, others.labels]),
            torch.cat([self.twins, others.twins]),
            torch.cat([self.twin_of, others.twin_of + len(self.labels)]),
        )


def load_examples(
    images: ImageSource,
    table: pd.DataFrame,
    classes: tuple[str, ...],
    input_format: InputFormat,
    *,
    with_twins: bool,
    workers: int | None,
    reporter: Reporter,
) -> Examples:
    """Decode the images of a table of labelled rows (as `read_labels_files` makes it) and load their twins.

    classes: all that the table has; its labels become their places.
    A twin that is missing or of another size is left out, with a counted warning. Raises DataError if an image cannot
    be read: a label was paid for it.
    """
    pixels = np.empty((len(table), *input_format.shape), np.uint8)
    largest = []
    done = 0
    with reporter.progress("reading", len(table), "images") as progress:
        for batch in images.batches(list(table[IMAGE]), input_format, DECODED_AT_ONCE, workers):
            if batch.unreadable:
                image, reason = batch.unreadable[0]
                raise unreadable_row(images, table[table[IMAGE] == image].iloc[0], reason)
            pixels[done : done + len(batch.images)] = batch.pixels
            done += len(batch.images)
            largest.append(batch.largest)
            progress.advance(len(batch.images))
    for warning in scale_warnings(np.concatenate([NO_MAX_VALUES, *largest]), input_format.white):
        reporter.warn(warning)
    labels = torch.tensor(pd.Categorical(table[LABEL], categories=list(classes)).codes, dtype=torch.int64)
    twins, twin_of = _load_twins(table, input_format.shape, reporter) if with_twins else ([], [])
    stacked = torch.from_numpy(np.stack(twins)) if twins else torch.empty(0, *input_format.shape)
    return Examples(torch.from_numpy(pixels), labels, stacked, torch.tensor(twin_of, dtype=torch.int64))


def _load_twins(table: pd.DataFrame, shape: Shape, reporter: Reporter) -> tuple[list[np.ndarray], list[int]]:
    twins, twin_of, missing, misfits = [], [], 0, 0
    for row, path in enumerate(table[TWIN]):
        if not path:
            continue
        try:
            twins.append(read_twin(Path(path), shape))
            twin_of.append(row)
        except TwinShapeError:
            misfits += 1
        except TwinError:
            missing += 1
    if missing:
        reporter.warn(f"{missing} twins are missing or damaged and do not train; their images do")
    if misfits:
        reporter.warn(f"{misfits} twins are of another size than {shape} and do not train; their images do")
    return twins, twin_of


def unreadable_row(
    images: ImageSource,
    row: "dict[Any, str] | pd.Series[str]",
    reason: str,
    remedy: str = f"mend it, or label it {SKIP}",
) -> DataError:
    """The error that a labelled image cannot be used, with its place in the labels file."""
    place = location_of(Path(row["file"]), row["row"])
    hint = "" if images.is_there(row[IMAGE]) else image_names(images).hint(row[IMAGE])
    if hint:
        remedy = f"name images by their paths under {images.root}"
    return DataError(f"{place}: image {shown(row[IMAGE])}: {reason}{hint}; {remedy}")
