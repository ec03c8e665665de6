"""Labelled images and their twins in memory, for training and evaluation."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dfal_cli.images import (
    NO_MAX_VALUES,
    ImageSource,
    InputFormat,
    Shape,
    in_batches,
    scale_warnings,
)
from dfal_cli.images.pool import image_names
from dfal_cli.schemas import IMAGE, LABEL
from dfal_cli.system.device import on_device
from dfal_cli.system.reporting import Reporter
from dfal_cli.training.labelled_rows import load_twins, unusable_row

DECODED_AT_ONCE = 4
"""Number of images that a thread reads, one after the other: with few labels, all threads should have some."""

MAX_DEVICE_BYTES = 10**9
"""Examples of at most this size as floats are copied to the device once; more are copied batch by batch."""


class DeviceExamples(NamedTuple):
    """Examples as batches on a device."""

    number: int
    """Number of images and twins."""
    classes: int
    """Number of classes: one more than the largest label."""
    shape: Shape
    device: torch.device
    place: torch.device
    """Where the examples are: on the device, or on the CPU if they are copied batch by batch."""
    batch: Callable[[Tensor], tuple[Tensor, Tensor]]
    """Indices (B,), in the same place -> float images in [0, 1], (B, C, H, W), and labels (B,), on the device."""


class Examples(NamedTuple):
    """N labelled images and M twins; item i < N is image i, item N + j is twin j."""

    images: Tensor
    """(N, C, H, W) uint8, as decoded from the files."""
    labels: Tensor
    """(N,) int64 class indices. Classes that the network has no output for have the largest indices."""
    twins: Tensor
    """(M, C, H, W) float32: rounding to 8 bits would erase a small perturbation."""
    twin_of: Tensor
    """(M,) int64: index of the image that each twin belongs to; the twin has its label and its side of the split."""

    def __len__(self) -> int:
        return len(self.labels) + len(self.twin_of)

    def batch(self, items: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return the items, (B,) indices, as float images in [0, 1], (B, C, H, W), and labels (B,), on `device`."""
        count = len(self.labels)
        plain = items < count
        images = torch.empty(len(items), *self.images.shape[1:])
        images[plain] = self.images[items[plain]].float() / 255
        images[~plain] = self.twins[items[~plain] - count]
        owners = items.clone()
        owners[~plain] = self.twin_of[items[~plain] - count]
        return on_device(images, device), on_device(self.labels[owners], device)

    def on_device(self, device: torch.device) -> "DeviceExamples":
        """Return the examples for use on `device`; all are copied there at once up to MAX_DEVICE_BYTES."""
        shape = self.images.shape[1:]
        channels, height, width = shape
        fields = (len(self), int(self.labels.max()) + 1, (channels, height, width), device)
        if 4 * len(self) * shape.numel() > MAX_DEVICE_BYTES:
            return DeviceExamples(*fields, self.labels.device, lambda items: self.batch(items, device))
        images, labels = self.batch(torch.arange(len(self)), device)
        return DeviceExamples(*fields, device, lambda items: (images[items], labels[items]))

    def of_images(self, chosen: Tensor) -> "Examples":
        """Return the images where `chosen`, (N,) bool, is true, with their twins."""
        new_index = chosen.cumsum(0) - 1
        with_image = chosen[self.twin_of]
        twin_of = new_index[self.twin_of[with_image]]
        return Examples(self.images[chosen], self.labels[chosen], self.twins[with_image], twin_of)

    def without_twins(self) -> "Examples":
        """Return the images without their twins."""
        return Examples(self.images, self.labels, self.twins[:0], self.twin_of[:0])

    def followed_by(self, others: "Examples") -> "Examples":
        """Return these examples followed by the others."""
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
    """Decode the images of a labels table, as `read_labels_files` returns it, and load their twins.

    classes: every class in the table, in the order of the class indices.
    Twins that are missing or have another size are left out and counted in a warning. Raises DataError if an image
    cannot be read: somebody has spent time on its label.
    """
    pixels = np.empty((len(table), *input_format.shape), np.uint8)
    max_values = [NO_MAX_VALUES]
    done = 0
    with reporter.progress("reading", len(table), "images") as progress:
        for batch in images.batches(in_batches(list(table[IMAGE]), DECODED_AT_ONCE), input_format, workers):
            if batch.unreadable:
                image, reason = batch.unreadable[0]
                raise unusable_row(image_names(images), table[table[IMAGE] == image].iloc[0], reason)
            pixels[done : done + len(batch.images)] = batch.pixels
            done += len(batch.images)
            max_values.append(batch.max_values)
            progress.advance(len(batch.images))
    for warning in scale_warnings(np.concatenate(max_values), input_format.white):
        reporter.warn(warning)
    labels = torch.tensor(pd.Categorical(table[LABEL], categories=list(classes)).codes, dtype=torch.int64)
    shape = input_format.shape
    twins, twin_of = load_twins(table if with_twins else table[:0], shape, f"the input size {shape}", reporter)
    return Examples(torch.from_numpy(pixels), labels, torch.from_numpy(twins), torch.from_numpy(twin_of))
