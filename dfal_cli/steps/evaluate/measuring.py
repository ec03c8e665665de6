"""Classifies the labelled images, from their files or from their embeddings."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dfal_cli.images import STRETCH, DecodedBatch, ImageSource, in_batches, open_images
from dfal_cli.images.pool import image_names
from dfal_cli.models.head_file import load_head
from dfal_cli.models.metadata import read_checkpoint_metadata
from dfal_cli.pages.preview_pictures import Images
from dfal_cli.steps.evaluate.options import EvaluateOptions
from dfal_cli.steps.labelled_set import (
    LabelledSet,
    logits_of_embeddings,
    logits_of_images,
    read_labelled_set,
    trained_images,
)
from dfal_cli.system.image_roots import ImageRoot, is_image_root
from dfal_cli.system.paths import root_named_in_file
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables.embeddings import read_embeddings_metadata
from dfal_cli.training.embedded import EmbeddingsOnDisk
from dfal_cli.training.head import Numbers

TEST = "--test"


PICTURE_BYTES = 40_000
"""Of each picture of the page, which has at most 48: less than 3 MB in all."""


class Measured(NamedTuple):
    """Labelled images, and what a checkpoint says of them."""

    labelled: LabelledSet
    logits: Numbers
    """(n, K)"""
    metadata: dict[str, Any]
    """Those of the checkpoint."""
    content_hashes: list[str]
    trained_on: list[str]
    """Those of the images that the checkpoint was trained on."""
    pictures: Images | None
    """For the page; None if it is not known where the images are."""


def measure_embeddings(options: EvaluateOptions, file: Path, reporter: Reporter) -> Measured:
    """Classify the embeddings of the labelled images by a head, without torch."""
    head, source = load_head(options.checkpoint), EmbeddingsOnDisk(file)
    missing = f"no embedding in {file}", "embed"
    labelled = read_labelled_set(options.test, TEST, source.names, head.classes, reporter, missing, options.exclude)
    with reporter.busy("reading embeddings"):
        logits = logits_of_embeddings(file, options.checkpoint, head, labelled, source, reporter)
    hashes = [source.content_hash(image) for image in labelled.images]
    trained = trained_images(labelled, hashes, "embeddings", head.metadata)
    return Measured(labelled, logits, head.metadata, hashes, trained, _pictures(options, file))


def _pictures(options: EvaluateOptions, file: Path) -> Images | None:
    metadata = read_embeddings_metadata(file)
    root = metadata.get("image_root")
    place = root_named_in_file(root, file) if isinstance(root, str) else None
    if place is None or not is_image_root(place):
        return None
    follow_links = options.follow_links or bool(metadata.get("follow_links"))
    return Images(place, follow_links, metadata.get("white"), STRETCH, PICTURE_BYTES)


def measure_images(
    options: EvaluateOptions, root: ImageRoot, reporter: Reporter, images: ImageSource | None
) -> Measured:  # fmt: skip
    """Classify the labelled images by a network, or by a head through its backbone."""
    from dfal_cli.checkpoint import load_checkpoint
    from dfal_cli.models import fast_pooling
    from dfal_cli.scoring.classifying import Classifier
    from dfal_cli.system.device import FittingBatches, choose_device, first_batch_size, tf32

    device = choose_device(options.device)
    with open_images(
        images, root, options.cache, options.cache_limit, reporter, follow_links=options.follow_links
    ) as source:
        classes = read_checkpoint_metadata(options.checkpoint)["classes"]
        names = image_names(source)
        labelled = read_labelled_set(options.test, TEST, names, classes, reporter, exclude=options.exclude)
        network = load_checkpoint(options.checkpoint, device, trust_code=options.trust_code, architecture=options.arch)
        batches = FittingBatches(first_batch_size(device, network.input_shape), reporter)

        def stream(images: Iterable[Sequence[str]]) -> Iterator[DecodedBatch]:
            return source.batches(images, network.input_format, options.workers)

        classifier = Classifier(network, stream, batches)
        with tf32(allowed=False), fast_pooling(network.model):
            classified = classifier.batches_of(in_batches(labelled.images, batches.read))
            logits = logits_of_images(classified, source, labelled, reporter)
        hashes = [source.content_hash(image) for image in labelled.images]
    trained = trained_images(labelled, hashes, "images", network.metadata)
    pictures = Images(root, options.follow_links, network.input_format.white, STRETCH, PICTURE_BYTES)
    return Measured(labelled, logits, network.metadata, hashes, trained, pictures)
