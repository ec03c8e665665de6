"""Embeddings of images by a backbone, computed while the images stream by."""

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dfal_cli.images import ImageSource, MaxValues
from dfal_cli.models.backbones import Backbone
from dfal_cli.models.normalised import Network
from dfal_cli.system.device import FittingBatches, on_device
from dfal_cli.tables.vectors import Values

NOT_FINITE = "the backbone gives values that are not finite"


class EmbeddedBatch(NamedTuple):
    """The embeddings of one batch of images."""

    images: list[str]
    """Paths of the b images that have an embedding, in the requested order."""
    vectors: Values
    """(b, d), all finite."""
    unreadable: list[tuple[str, str]]
    """Path and reason of each image without an embedding."""
    not_finite: list[str]
    """Those of them that can be read, but whose embedding is not finite."""
    max_values: MaxValues
    """Of the images of more than 8 bits in this batch."""


def embed_images(
    backbone: Backbone,
    source: ImageSource,
    images: Iterable[Sequence[str]],
    batches: FittingBatches,
    workers: int | None,
) -> Iterator[EmbeddedBatch]:
    """Yield the embeddings of batches of images; other threads decode the next batches meanwhile.

    An image has the same embedding in every batch, to 1e-5 of the largest value; on a GPU, to half precision.
    workers: number of decoding threads, as in `read_batches`.
    """
    device = backbone.model.mean.device
    model = backbone.model.to(memory_format=torch.channels_last)
    compute = functools.partial(embed_pixels, model)
    for decoded in source.batches(images, backbone.input_format, workers):
        found = batches.apply(compute, on_device(torch.from_numpy(decoded.pixels), device))
        vectors = np.concatenate([np.empty((0, backbone.dimension), np.float32), *found])
        is_finite = np.isfinite(vectors).all(1)
        not_finite = [image for image, finite in zip(decoded.images, is_finite, strict=True) if not finite]
        yield EmbeddedBatch(
            [image for image, finite in zip(decoded.images, is_finite, strict=True) if finite],
            vectors[is_finite],
            [*decoded.unreadable, *((image, NOT_FINITE) for image in not_finite)],
            not_finite,
            decoded.max_values,
        )


def embed_pixels(model: Network, pixels: Tensor) -> Values:
    """Return the embeddings (B, d) of pixels (B, C, H, W), uint8."""
    images = (pixels.float() / 255).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        is_mixed = images.device.type == "cuda"
        with torch.autocast(images.device.type, torch.float16, enabled=is_mixed):
            found: Values = model(images).float().cpu().numpy()
        if is_mixed and not np.isfinite(found).all():  # too large for half precision
            found = model(images).float().cpu().numpy()
    return found
