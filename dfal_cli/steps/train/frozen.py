"""train --freeze: a head on the embeddings that a pretrained network computes of the labelled images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dfal_cli.errors import UsageError
from dfal_cli.images import ImageSource, in_batches
from dfal_cli.images.pool import image_names
from dfal_cli.models.backbones import Backbone, load_backbone
from dfal_cli.models.embedding import embed_images
from dfal_cli.models.head_file import Weights
from dfal_cli.schemas import IMAGE
from dfal_cli.steps.result import Result
from dfal_cli.steps.train.head import train_head
from dfal_cli.steps.train.labels import label_hashes, labels_of_images
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.system.device import FittingBatches, choose_device, first_batch_size
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables.vectors import Values, unit_length
from dfal_cli.training.label_sets import LabelSets
from dfal_cli.training.labelled_rows import unusable_row


def train_on_frozen_backbone(
    options: TrainOptions, source: ImageSource, reporter: Reporter, *, warn_if_not_learnt: bool
) -> Result:
    """Embed the labelled images, train a head on the embeddings, and write both. Arguments as of `train`."""
    hashes = label_hashes(options)
    sets = labels_of_images(options, source, reporter)
    with reporter.busy("loading the backbone"):
        backbone = chosen_backbone(options)
    embeddings = EmbeddedImages(backbone, source, sets, options.workers, reporter)
    return train_head(
        options, embeddings, sets, hashes, "images", reporter, warn_if_not_learnt=warn_if_not_learnt
    )  # fmt: skip


def chosen_backbone(options: TrainOptions) -> Backbone:
    """Load the backbone of the options --arch, --weights and so on. Raises the errors of `load_backbone`."""
    try:
        return load_backbone(
            options.arch, options.weights, pretrained=options.pretrained, image_size=options.image_size,
            resize=options.resize, white=options.white, device=choose_device(options.device),
        )  # fmt: skip
    except UsageError as error:
        raise UsageError(str(error).replace("--backbone", "--arch")) from None


class EmbeddedImages:
    """An EmbeddingSource that embeds images."""

    def __init__(
        self, backbone: Backbone, source: ImageSource, sets: LabelSets, workers: int | None, reporter: Reporter
    ) -> None:
        self.names = image_names(source)
        self._backbone = backbone
        self._source = source
        self._sets = sets
        self._workers = workers
        self._reporter = reporter
        first_size = first_batch_size(backbone.model.mean.device, backbone.input_format.shape)
        self._batches = FittingBatches(first_size, reporter)

    @property
    def description(self) -> Mapping[str, Any]:
        """The metadata of the backbone."""
        return self._backbone.metadata

    def content_hash(self, image: str) -> str:
        """Return a hash of the image file."""
        return self._source.content_hash(image)

    def vectors(self, images: Sequence[str]) -> Values:
        """Return the embeddings of images, (n, d), scaled to unit length. Raises DataError if one cannot be read."""
        parts: list[Values] = []
        with self._reporter.progress("embedding", len(images), "images") as progress:
            for batch in embed_images(
                self._backbone, self._source, in_batches(images, self._batches.read), self._batches, self._workers
            ):
                if batch.unreadable:
                    image, reason = batch.unreadable[0]
                    rows = pd.concat(list(self._sets.tables.values()))
                    raise unusable_row(self.names, rows[rows[IMAGE] == image].iloc[0], reason)
                parts.append(batch.vectors)
                progress.advance(len(batch.images))
        return unit_length(np.concatenate(parts))

    def weights(self) -> Weights:
        """Return the weights of the backbone."""
        return {name: value.cpu().numpy() for name, value in self._backbone.model.body.state_dict().items()}
