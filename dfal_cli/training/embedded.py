"""Labelled embeddings in memory, for training and evaluation of heads."""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd

from dfal_cli.models.head_file import BACKBONE_FIELDS, Weights, read_backbone
from dfal_cli.schemas import IMAGE, LABEL
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables import ImageNames
from dfal_cli.tables.embeddings import read_embedded_images, read_embeddings, read_embeddings_metadata
from dfal_cli.tables.vectors import Values, unit_length
from dfal_cli.training.head import Targets
from dfal_cli.training.labelled_rows import load_twins


class EmbeddingSource(Protocol):
    """Where the embeddings of labelled images come from."""

    names: ImageNames

    @property
    def description(self) -> Mapping[str, Any]:
        """What is known about the backbone, as in the metadata of embeddings; {} if nothing is."""

    def content_hash(self, image: str) -> str:
        """Return a hash of what the embedding of an image is determined by; "" if it is unknown."""

    def vectors(self, images: Sequence[str]) -> Values:
        """Return the embeddings of images, (n, d), scaled to unit length. They must be among the names."""

    def weights(self) -> Weights | None:
        """Return the weights of the backbone; None if they are unknown."""


class EmbeddingsOnDisk:
    """The embeddings in a file, of the images that are loaded."""

    def __init__(self, path: Path) -> None:
        images = read_embedded_images(path)
        self.names = ImageNames(path, frozenset(images).__contains__, lambda: images, "in")
        self.description = {
            name: value for name, value in read_embeddings_metadata(path).items() if name in BACKBONE_FIELDS
        }
        self._path = path
        self._loaded: dict[str, Values] = {}

    def load(self, images: Collection[str], warn: Callable[[str], None]) -> None:
        """Read the embeddings of these images. Raises DataError, with the image, if one cannot be used.

        warn: called about zero vectors.
        """
        file = read_embeddings(self._path, names=images, warn=warn)
        self._loaded = dict(zip(file.images, unit_length(file.vectors), strict=True))

    def content_hash(self, image: str) -> str:
        """Return a hash of the embedding."""
        return hashlib.sha256(self._loaded[image].tobytes()).hexdigest() if image in self._loaded else ""

    def vectors(self, images: Sequence[str]) -> Values:
        """Return the embeddings of loaded images, (n, d), scaled to unit length."""
        return np.stack([self._loaded[image] for image in images])

    def weights(self) -> Weights | None:
        """Return the weights of the backbone, which `dfal embed` has written beside the embeddings."""
        return read_backbone(self._path, self.description)


class LabelledVectors(NamedTuple):
    """N labelled images, followed by M twins, as points of the embedding space."""

    vectors: Values
    """(N + M, d)"""
    targets: Targets
    """(N + M,) class indices. Classes that the head has no output for have the largest indices."""
    image_of: Targets
    """(N + M,) index of the image that each example is or belongs to."""

    @property
    def number_of_images(self) -> int:
        """N"""
        return int(self.image_of.max()) + 1

    def without_twins(self) -> "LabelledVectors":
        """Return the images without their twins."""
        images = slice(self.number_of_images)
        return LabelledVectors(self.vectors[images], self.targets[images], self.image_of[images])

    def followed_by(self, others: "LabelledVectors") -> "LabelledVectors":
        """Return these images and twins, followed by others."""
        return LabelledVectors(
            np.concatenate([self.vectors, others.vectors]),
            np.concatenate([self.targets, others.targets]),
            np.concatenate([self.image_of, others.image_of + self.number_of_images]),
        )


def labelled_vectors(
    source: EmbeddingSource, table: pd.DataFrame, classes: tuple[str, ...], *, with_twins: bool, reporter: Reporter
) -> LabelledVectors:
    """Return the embeddings of a labels table, as `read_labels_files` returns it, and its twins.

    classes: every class in the table, in the order of the class indices.
    Twins lie in the embedding space and are not scaled. Those that are missing or of another length are left out.
    """
    vectors = source.vectors(list(table[IMAGE]))
    targets = pd.Categorical(table[LABEL], categories=list(classes)).codes.astype(np.intp)
    dimension = vectors.shape[1]
    size = f"the length of the embeddings, {dimension}"
    twins, twin_of = load_twins(table if with_twins else table[:0], (dimension,), size, reporter)
    return LabelledVectors(
        np.concatenate([vectors, twins]),
        np.concatenate([targets, targets[twin_of]]),
        np.concatenate([np.arange(len(table)), twin_of]),
    )
