"""train --embeddings: a head, which is a linear classifier of embeddings. Needs no torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dfal_cli.errors import plural
from dfal_cli.models.head_file import save_head
from dfal_cli.schemas import IMAGE
from dfal_cli.steps.result import Result
from dfal_cli.steps.train.labels import label_hashes
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.steps.train.provenance import existing_result, extra_metadata
from dfal_cli.system.fingerprints import fingerprint
from dfal_cli.system.reporting import Reporter
from dfal_cli.training.checkpoint_inputs import checkpoint_inputs
from dfal_cli.training.duplicates import warn_about_duplicates
from dfal_cli.training.embedded import EmbeddingsOnDisk, EmbeddingSource, LabelledVectors, labelled_vectors
from dfal_cli.training.head import FOLDS, Head, fit_head, held_out_logits
from dfal_cli.training.label_sets import LabelSets, check_images_exist, folder_labels, read_label_sets
from dfal_cli.training.learnt import CROSS_VALIDATION, FILE, evidence_in
from dfal_cli.training.measured import evaluation_of
from dfal_cli.training.report import show_metrics, summary_of, warn_unless_learnt
from dfal_cli.training.temperature import HeldOut, calibration_in

SETTINGS = ("class_names", "class_weight", "twins")
"""Options that shape a head by their value. There is no seed: no random numbers are drawn."""
SMALLEST_CROSS_VALIDATION = 10
"""Number of labelled images below which cross-validation would say too little."""
WHAT_TO_TRY = "more labels, or embeddings of another backbone (dfal embed --backbone)"


class HeadData(NamedTuple):
    """The embeddings of a training, by their use."""

    labelled: LabelledVectors
    """Labelled images and their twins."""
    training: LabelledVectors
    """All training examples: `labelled`, and the images with pseudo-labels."""
    validation: LabelledVectors | None
    test: LabelledVectors | None


def train_on_embeddings(
    options: TrainOptions, path: Path, reporter: Reporter, *, warn_if_not_learnt: bool
) -> Result:  # fmt: skip
    """Train a head on the embeddings in a file, and write it. Arguments as of `train`."""
    hashes = label_hashes(options)
    source = EmbeddingsOnDisk(path)
    from_folders = None
    if options.labels_from_folders:
        from_folders = folder_labels(path, source.names.all(), reporter)
    sets = read_label_sets(
        options.labels, options.validation, options.test, options.pseudo_labels, options.class_names, reporter,
        source.names, from_folders,
    )  # fmt: skip
    check_images_exist(source.names, (sets.validation, sets.test), f"no embedding in {path}", "embed")
    with reporter.busy("reading embeddings"):
        source.load(frozenset[str]().union(*(table[IMAGE] for table in sets.tables.values())), reporter.warn)
    return train_head(options, source, sets, hashes, "embeddings", reporter, warn_if_not_learnt=warn_if_not_learnt)


def train_head(
    options: TrainOptions,
    source: EmbeddingSource,
    sets: LabelSets,
    hashes: Mapping[str, Any],
    trained_on: str,
    reporter: Reporter,
    *,
    warn_if_not_learnt: bool,
) -> Result:
    """Fit a head and write it as a checkpoint.

    hashes: of the labels files, before they were read. trained_on: "embeddings", or "images" with a frozen backbone.
    """
    content_hashes = sets.content_hashes(source.content_hash, reporter)
    weights = source.weights()
    inputs = checkpoint_inputs(
        {name: getattr(options, name) for name in SETTINGS}, sets.digests(content_hashes),
        {"init": None, "weights": None}, None, trained_on, fingerprint(source.description, weights is not None),
    )  # fmt: skip
    if options.out.exists() and not options.force:
        result = existing_result(options.out, inputs)
        if warn_if_not_learnt:
            warn_unless_learnt(result.details, WHAT_TO_TRY, reporter)
        return result
    warn_about_duplicates(sets, content_hashes, reporter)
    data = _load(source, sets, options.twins, reporter)
    reporter.note(f"training a head on {_describe(data, sets)}")
    balanced = options.class_weight is not None
    with reporter.busy("fitting"):
        head = fit_head(*data.training[:2], len(sets.classes), balanced=balanced, groups=data.training.image_of)
        metrics = _metrics(head, data, sets, balanced, reporter)
    counts = _counts(data, sets)
    save_head(
        options.out, head.weight, head.bias, classes=sets.classes, embeddings=source.description, backbone=weights,
        extra_metadata=extra_metadata(options, sets, content_hashes, metrics, counts, hashes, inputs),
    )  # fmt: skip
    if weights is None:
        missing = "the weights of their backbone are not beside them"
        reporter.note(f"{options.out} classifies embeddings, not images: {missing}")
    show_metrics(metrics, sets.classes, reporter)
    if warn_if_not_learnt:
        warn_unless_learnt(metrics, WHAT_TO_TRY, reporter)
    return Result([options.out], summary_of(metrics), counts, {**metrics, "classes": sets.classes})


def _load(source: EmbeddingSource, sets: LabelSets, with_twins: bool, reporter: Reporter) -> HeadData:
    def load(name: str, twins: bool = False) -> LabelledVectors | None:
        table = sets.tables[name]
        if table.empty:
            return None
        return labelled_vectors(source, table, sets.classes_in(name), with_twins=twins, reporter=reporter)

    labelled, pseudo = load("labels", with_twins), load("pseudo_labels")
    assert labelled is not None  # `read_label_sets` refuses an empty table
    training = labelled if pseudo is None else labelled.followed_by(pseudo)
    return HeadData(labelled, training, load("validation"), load("test"))


def _metrics(head: Head, data: HeadData, sets: LabelSets, balanced: bool, reporter: Reporter) -> dict[str, Any]:
    """Evaluate the head on each set, without twins; on the labelled images by cross-validation if there is no other.

    Cross-validation needs no images held out of the training, where a head is fitted in seconds.
    """
    labelled = data.labelled.without_twins()
    metrics: dict[str, Any] = {"strength": head.strength, "strength_how": head.how}
    metrics["training"] = evaluation_of(head.logits(labelled.vectors), labelled.targets).summary()
    cross_validated: HeldOut | None = None
    held_out: dict[str, HeldOut] = {}
    if data.validation is None and len(labelled.targets) >= SMALLEST_CROSS_VALIDATION:
        logits = held_out_logits(
            *data.labelled[:2], len(sets.classes), strength=head.strength, balanced=balanced,
            groups=data.labelled.image_of,
        )  # fmt: skip
        cross_validated = logits[: len(labelled.targets)], labelled.targets
        metrics["validation"] = evaluation_of(*cross_validated).report(sets.classes)
        metrics["validation_from"] = CROSS_VALIDATION
        reporter.note(
            f"validation: {FOLDS}-fold cross-validation of the labelled images. If query lists chose them, they are "
            "harder than the rest: pass a labels file of random images as --test, or as --validation"
        )
    for name, vectors in (("validation", data.validation), ("test", data.test)):
        if vectors is not None:
            held_out[name] = head.logits(vectors.vectors), vectors.targets
            metrics[name] = evaluation_of(*held_out[name]).report(sets.classes_in(name))
    if data.validation is not None:
        metrics["validation_from"] = FILE
    metrics["calibration"] = calibration_in(held_out, cross_validated)
    return {**metrics, "learnt": evidence_in(metrics).learnt}


def _counts(data: HeadData, sets: LabelSets) -> dict[str, int]:
    return {
        "labelled": len(sets.labels),
        "pseudo": len(sets.pseudo_labels),
        "twins": len(data.labelled.targets) - len(sets.labels),
        "training": len(data.training.targets),
    }


def _describe(data: HeadData, sets: LabelSets) -> str:
    images = data.training.number_of_images
    twins = len(data.training.targets) - images
    return f"{images} {plural(images, 'image')} and {twins} {plural(twins, 'twin')}, {len(sets.classes)} classes"
