"""predict --embeddings: the predictions of a head, block by block and without torch."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dfal_cli.images.pool import find_embedded_pool
from dfal_cli.models.head_file import LoadedHead, check_fit, load_head
from dfal_cli.schemas import EMBEDDING_SPACE
from dfal_cli.scoring.judging import warn_unless_learnt
from dfal_cli.scoring.linear import blocks_of
from dfal_cli.scoring.predicted import PREDICTION, Predictions, predictions_of
from dfal_cli.scoring.rows import ROWS_PER_TABLE
from dfal_cli.steps.labelled_set import (
    LabelledSet,
    logits_of_embeddings,
    read_labelled_set,
    trained_images,
)
from dfal_cli.steps.pool_inputs import common_inputs, is_up_to_date
from dfal_cli.steps.predict.checks import ONLY_OF_IMAGES
from dfal_cli.steps.predict.options import PredictOptions
from dfal_cli.steps.predict.outputs import PREDICTIONS, result_of, write_predictions
from dfal_cli.steps.predict.temperature import CALIBRATE, Temperature, measured_temperature, recorded_temperature
from dfal_cli.steps.result import Result, up_to_date
from dfal_cli.system.files import check_writable
from dfal_cli.system.fingerprints import digest_of_many, fingerprint, must_be_unchanged
from dfal_cli.system.paths import relative_to_file, root_named_in_file
from dfal_cli.system.reporting import Reporter
from dfal_cli.tables.embeddings import EmbeddingsFile, embeddings_sha256, read_embedded_images, read_embeddings
from dfal_cli.tables.vectors import Values, unit_length
from dfal_cli.training.embedded import EmbeddingsOnDisk


def predict_embeddings(options: PredictOptions, file: Path, reporter: Reporter) -> Result:
    """Predict the images whose embeddings are in the file."""
    with reporter.busy("listing the images"):
        images = read_embedded_images(file)
        pool, _, left_out = find_embedded_pool(file, images, options.labels, options.exclude, reporter)
        head = load_head(options.checkpoint)
        labelled, source = _labelled_set(options, file, head, reporter)
        inputs = _inputs(options, file, pool, labelled)
    if is_up_to_date(options, PREDICTIONS, inputs, reporter):
        return up_to_date([options.out])
    check_writable(options.out)
    must_be_unchanged(options.checkpoint, head.sha256, inputs["checkpoint"])
    warn_unless_learnt(head.metadata, reporter, "predictions")
    temperature = _temperature(options, file, head, labelled, source, reporter)
    with reporter.busy("reading the embeddings"):
        embeddings = read_embeddings(file, names=frozenset(pool), warn=reporter.warn)
    must_be_unchanged(file, embeddings.sha256, inputs["embeddings"])
    check_fit(options.checkpoint, head, file, embeddings.vectors.shape[1], embeddings.metadata)
    predictions = _predicted(head, embeddings, temperature.value, reporter)
    probabilities = partial(_probabilities, head, embeddings, temperature.value) if options.probabilities else None
    metadata = _metadata(options, file, embeddings)
    write_predictions(options, predictions, probabilities, temperature, inputs, metadata, reporter)
    counts = {"pool": len(pool), **left_out}
    return result_of(options, [], predictions, temperature, head.metadata, counts, {}, reporter)


def _labelled_set(
    options: PredictOptions, file: Path, head: LoadedHead, reporter: Reporter
) -> tuple[LabelledSet | None, EmbeddingsOnDisk]:
    """Return the labelled images of --calibrate, if it is given, and where their embeddings are."""
    source = EmbeddingsOnDisk(file)
    if not options.calibrate:
        return None, source
    missing = f"no embedding in {file}", "embed"
    return read_labelled_set(options.calibrate, CALIBRATE, source.names, head.classes, reporter, missing), source


def _inputs(options: PredictOptions, file: Path, pool: list[str], labelled: LabelledSet | None) -> dict[str, Any]:
    """What determines the predictions, ready for JSON."""
    inputs = common_inputs(options, EMBEDDING_SPACE)
    settings = {name: value for name, value in inputs["settings"].items() if name not in ONLY_OF_IMAGES}
    return inputs | {
        "settings": settings,
        "embeddings": embeddings_sha256(file),
        "images": fingerprint(pool),
        "calibrate": digest_of_many(labelled.rows()) if labelled else "",
    }


def _temperature(
    options: PredictOptions, file: Path, head: LoadedHead, labelled: LabelledSet | None, source: EmbeddingsOnDisk,
    reporter: Reporter,
) -> Temperature:  # fmt: skip
    if labelled is None:
        return recorded_temperature(head.metadata, reporter)
    logits = logits_of_embeddings(file, options.checkpoint, head, labelled, source, reporter)
    hashes = [source.content_hash(image) for image in labelled.images]
    trained = trained_images(labelled, hashes, "embeddings", head.metadata)
    return measured_temperature(labelled, logits, trained, reporter)


def _predicted(head: LoadedHead, embeddings: EmbeddingsFile, temperature: float, reporter: Reporter) -> Predictions:
    rows = np.empty(len(embeddings.images), PREDICTION)
    with reporter.progress("predicting", len(rows), "images") as progress:
        for block in blocks_of(len(rows)):
            rows[block], _ = predictions_of(head.logits(unit_length(embeddings.vectors[block])), temperature)
            progress.advance(len(rows[block]))
    return Predictions(embeddings.images, rows, head.classes)


def _probabilities(head: LoadedHead, embeddings: EmbeddingsFile, temperature: float) -> Iterator[Values]:
    """Yield the probabilities of the images in pieces of ROWS_PER_TABLE rows."""
    for start in range(0, max(1, len(embeddings.images)), ROWS_PER_TABLE):
        vectors = unit_length(embeddings.vectors[start : start + ROWS_PER_TABLE])
        yield predictions_of(head.logits(vectors), temperature)[1]


def _metadata(options: PredictOptions, file: Path, embeddings: EmbeddingsFile) -> dict[str, Any]:
    root = embeddings.metadata.get("image_root")  # unknown if another program made the embeddings
    return {
        "embeddings": relative_to_file(file, options.out),
        "embeddings_sha256": embeddings.sha256,
        "image_root": relative_to_file(root_named_in_file(root, file), options.out) if root else None,
    }
