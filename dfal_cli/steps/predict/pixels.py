"""predict --images: the predictions of a network, or of a head through its backbone."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from dfal_cli.checkpoint import LoadedNetwork, read_checkpoint_metadata, trusted_architecture
from dfal_cli.images import DecodedBatch, ImageSource, in_batches, open_images
from dfal_cli.images.pool import Pool, find_pool, image_names, report_skipped
from dfal_cli.schemas import PIXEL_SPACE, UNREADABLE_SUFFIX
from dfal_cli.scoring.classifying import Classifier, predict_all, probabilities_in
from dfal_cli.scoring.judging import warn_unless_learnt
from dfal_cli.scoring.reading import warn_of_pixels
from dfal_cli.steps.labelled_set import (
    LabelledSet,
    logits_of_images,
    read_labelled_set,
    trained_images,
)
from dfal_cli.steps.pool_inputs import UNFINISHED_CHANGE_TEXTS, common_inputs, images_digests, is_up_to_date
from dfal_cli.steps.pool_network import classifying, load_network
from dfal_cli.steps.predict.options import PredictOptions
from dfal_cli.steps.predict.outputs import PREDICTIONS, result_of, write_predictions
from dfal_cli.steps.predict.temperature import CALIBRATE, Temperature, measured_temperature, recorded_temperature
from dfal_cli.steps.result import Result, up_to_date
from dfal_cli.steps.unreadable import report_unreadable, stop_if_too_many
from dfal_cli.system.crew import Crew
from dfal_cli.system.device import FittingBatches, choose_device, first_batch_size
from dfal_cli.system.files import beside, check_writable
from dfal_cli.system.fingerprints import digest_of_many, fingerprint
from dfal_cli.system.image_roots import ImageRoot
from dfal_cli.system.parts import Parts
from dfal_cli.system.paths import relative_to_file
from dfal_cli.system.reporting import Reporter
from dfal_cli.training.architecture import code_sha256

PREDICT = "predict"
"""The name of the only work."""


def predict_images(
    options: PredictOptions, root: ImageRoot, reporter: Reporter, images: ImageSource | None, crew: Crew
) -> Result:
    """Predict the images under `root`; `images` replace the folder, if given."""
    device = choose_device(options.device)
    with open_images(
        images, root, options.cache, options.cache_limit, reporter, follow_links=options.follow_links
    ) as source:
        with reporter.busy("listing the images"):
            found = find_pool(source, options.labels, options.exclude, reporter)
            labelled = _labelled_set(options, source, reporter)
            inputs = _inputs(options, source, found.listing.images, labelled)
        with Parts(options.out, inputs) as parts:
            if is_up_to_date(options, PREDICTIONS, inputs, reporter):
                result = up_to_date([options.out, *filter(Path.exists, [beside(options.out, UNREADABLE_SUFFIX)])])
            else:
                check_writable(options.out)
                pool, unlisted = found.listing.images, found.listing.unreadable
                stop_if_too_many(options.out, unlisted, len(pool) + len(unlisted), options.max_unreadable)
                network = load_network(options, device, inputs["checkpoint"])
                with classifying(network):
                    result = _predict(options, network, source, found, labelled, inputs, parts, crew, reporter)
        parts.remove()
        return result


def _labelled_set(options: PredictOptions, source: ImageSource, reporter: Reporter) -> LabelledSet | None:
    if not options.calibrate:
        return None
    classes = read_checkpoint_metadata(options.checkpoint)["classes"]
    return read_labelled_set(options.calibrate, CALIBRATE, image_names(source), classes, reporter)


def _inputs(
    options: PredictOptions, images: ImageSource, pool: Sequence[str], labelled: LabelledSet | None
) -> dict[str, Any]:
    """What determines the predictions, ready for JSON. Images count by the state of their files."""
    network = trusted_architecture(
        options.checkpoint, trust_code=options.trust_code, architecture=options.arch, option="--checkpoint"
    )
    calibrate = labelled and (digest_of_many(labelled.rows()), images_digests(images, labelled.images))
    return {
        **common_inputs(options, PIXEL_SPACE),
        "code": code_sha256(network),
        "images": images_digests(images, pool),
        "calibrate": fingerprint(*calibrate) if calibrate else "",
    }


def _predict(
    options: PredictOptions,
    network: LoadedNetwork,
    source: ImageSource,
    found: Pool,
    labelled: LabelledSet | None,
    inputs: dict[str, Any],
    parts: Parts,
    crew: Crew,
    reporter: Reporter,
) -> Result:
    """Predict the pool, resuming from the parts, and write all outputs."""
    pool, unlisted, _ = found.listing
    skipped = report_skipped(found.listing.skipped, reporter)
    batches = parts.fitting_batches(options.batch_size, first_batch_size(network.device, network.input_shape), reporter)
    device = network.device.type
    reporter.note(f"predicting {len(pool)} images on {device}, batch {batches.size}")
    section = parts.section("pool")
    if section.finished:
        reporter.note(f"resuming after {section.finished} of {len(pool)} images")
    parts.report_discarded("predictions", inputs, UNFINISHED_CHANGE_TEXTS, reporter)
    warn_unless_learnt(network.metadata, reporter, "predictions")
    classifier = new_classifier(options, network, source, batches)
    temperature = _temperature(network, classifier, source, labelled, batches.read, reporter)
    each = crew.start({PREDICT: classifier.predict}, {"checkpoint": network.sha256, "sizes": batches.sizes})
    compute = partial(each, PREDICT, temperature=temperature.value, with_probabilities=options.probabilities)
    predictions, reading = predict_all(pool, batches.read, section, compute, network.classes, reporter)
    stop_if_too_many(options.out, reading.unreadable, len(pool), options.max_unreadable)
    warn_of_pixels(reading.max_values, network.input_format.white, reading.flat, len(reading.images), reporter)
    unreadable = [*unlisted, *reading.unreadable]
    outputs = report_unreadable(options.out, unreadable, len(pool) + len(unlisted), reporter)
    probabilities = probabilities_in(section, network.classes) if options.probabilities else None
    metadata = _metadata(options, network, source)
    write_predictions(options, predictions, probabilities, temperature, inputs, metadata, reporter)
    counts = {"pool": len(pool), **found.counts, "unreadable": len(unreadable), **skipped}
    details = {"device": device, "batch_size": batches.size}
    return result_of(options, outputs, predictions, temperature, network.metadata, counts, details, reporter)


def new_classifier(
    options: PredictOptions, network: LoadedNetwork, source: ImageSource, batches: FittingBatches
) -> Classifier:
    """A classifier of images from the source."""

    def stream(images: Iterable[Sequence[str]]) -> Iterator[DecodedBatch]:
        return source.batches(images, network.input_format, options.workers)

    return Classifier(network, stream, batches)


def _temperature(
    network: LoadedNetwork, classifier: Classifier, source: ImageSource, labelled: LabelledSet | None, size: int,
    reporter: Reporter,
) -> Temperature:  # fmt: skip
    if labelled is None:
        return recorded_temperature(network.metadata, reporter)
    hashes = [source.content_hash(image) for image in labelled.images]
    trained = trained_images(labelled, hashes, "images", network.metadata)
    logits = logits_of_images(classifier.batches_of(in_batches(labelled.images, size)), source, labelled, reporter)
    return measured_temperature(labelled, logits, trained, reporter)


def _metadata(options: PredictOptions, network: LoadedNetwork, source: ImageSource) -> dict[str, Any]:
    return {
        "image_root": relative_to_file(source.root, options.out),
        "follow_links": options.follow_links,
        "input_shape": network.input_shape,
        "white": network.input_format.white,
        "resize": network.input_format.resize._asdict(),
    }
