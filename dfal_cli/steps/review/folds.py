"""Out-of-sample probabilities by cross-validation: those of an image come from a classifier that has not seen it."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dfal_cli.errors import Interrupted
from dfal_cli.images import ImageSource, in_batches
from dfal_cli.schemas import IMAGE, LABEL
from dfal_cli.statistics.label_errors import Probabilities, probably_wrong
from dfal_cli.steps.option import settings_of, values_of
from dfal_cli.steps.option_groups import ComputingOptions, NetworkOptions, SeedOption, TrainingOptions
from dfal_cli.steps.review.labelled import Labelled
from dfal_cli.steps.review.options import ReviewOptions
from dfal_cli.steps.train.command import train
from dfal_cli.steps.train.options import TrainOptions
from dfal_cli.system.fingerprints import fingerprint
from dfal_cli.system.reporting import Reporter, Silent
from dfal_cli.tables import write_labels
from dfal_cli.tables.vectors import Values
from dfal_cli.training.head import STRENGTH, Targets, folds_of, held_out_logits, softmax

IMAGES_AT_ONCE = 64


def has_others(targets: Targets, folds: Targets) -> npt.NDArray[np.bool_]:
    """Return whether another fold has an example of the class of each example, (n,): else nothing is known of it."""
    pairs = np.unique(np.stack([targets, folds]), axis=1)
    return np.bincount(pairs[0])[targets] > 1


def probabilities_of_heads(labelled: Labelled, vectors: Values, reporter: Reporter) -> Probabilities:
    """Return the probabilities, (n, K), of heads on the embeddings, (n, d).

    The heads are fitted twice, the second time without the labels that are probably wrong by the first heads: wrong
    labels are found more surely by heads that have not learnt others (tests/experiments/README.md#review).
    """
    targets, classes = labelled.targets, len(labelled.classes)
    learnt = np.ones(len(targets), bool)
    known = np.flatnonzero(has_others(targets, folds_of(targets, labelled.groups)))
    for _ in range(2):
        with reporter.busy("cross-validating"):
            logits = held_out_logits(
                vectors, targets, classes, strength=STRENGTH, groups=labelled.groups, learnt=learnt
            )  # fmt: skip
        probabilities = softmax(logits)
        learnt[known[doubtful(probabilities[known], targets[known])]] = False
    return probabilities


def doubtful(probabilities: Probabilities, targets: Targets) -> Targets:
    """Return `probably_wrong` of examples (m, K) and (m,) that may lack some of the K classes."""
    present, places = np.unique(targets, return_inverse=True)
    return probably_wrong(probabilities[:, present], places) if len(targets) else places


def probabilities_of_networks(
    options: ReviewOptions, source: ImageSource, labelled: Labelled, reporter: Reporter
) -> Probabilities:  # fmt: skip
    """Return the probabilities, (n, K), of networks, each trained on the images of the other folds.

    A killed command continues after the last finished network.
    """
    made_from = fingerprint({**settings_of(options), "count": None, "exclude": None}, labelled.inputs["labels"])
    folder = options.out.resolve().with_name(f".{options.out.name}.folds")
    for other in folder.glob("*"):
        if other.name != made_from:
            shutil.rmtree(other)
    folds = folds_of(labelled.targets, labelled.groups)
    probabilities = np.empty((len(folds), len(labelled.classes)))
    for number, fold in enumerate(np.unique(folds), 1):
        try:
            with reporter.busy(f"training network {number} of {folds.max() + 1}"):
                checkpoint = _trained(options, source, labelled, folds != fold, folder / made_from / str(fold))
        except Interrupted as interrupted:
            interrupted.add_note(f"in network {number} of {folds.max() + 1}; run the same command again to resume")
            raise
        held_out = np.flatnonzero(folds == fold)
        images = [labelled.table[IMAGE][row] for row in held_out]
        with reporter.busy("classifying the images that it has not seen"):
            probabilities[held_out] = _predicted(options, source, checkpoint, images)
    shutil.rmtree(folder)
    return probabilities


def _trained(
    options: ReviewOptions, source: ImageSource, labelled: Labelled, is_learnt: npt.NDArray[np.bool_], folder: Path
) -> Path:
    """Train a network on some of the images, unless it is finished, and return its checkpoint."""
    labels, checkpoint = folder / "labels.csv", folder / "model.safetensors"
    write_labels(labels, labelled.table.loc[is_learnt, [IMAGE, LABEL]])
    training: dict[str, Any] = values_of(options, TrainingOptions, NetworkOptions, ComputingOptions, SeedOption)
    train(
        TrainOptions(
            images=options.images, labels=[labels], out=checkpoint, class_names=labelled.classes, twins=False,
            weights=options.weights, pretrained=options.pretrained, **training,
        ),
        Silent(), source, warn_if_not_learnt=False,
    )  # fmt: skip
    return checkpoint


def _predicted(
    options: ReviewOptions, source: ImageSource, checkpoint: Path, images: Sequence[str]
) -> Probabilities:  # fmt: skip
    """Return the probabilities of images, (m, K), by a checkpoint. All of them have been read in other folds."""
    import torch

    from dfal_cli.checkpoint import load_checkpoint
    from dfal_cli.system.device import choose_device, on_device

    network = load_checkpoint(checkpoint, choose_device(options.device), trust_code=True)
    found = [np.empty((0, len(network.classes)))]
    with torch.inference_mode():
        for batch in source.batches(in_batches(images, IMAGES_AT_ONCE), network.input_format, options.workers):
            pixels = on_device(torch.from_numpy(batch.pixels), network.device).float() / 255
            found.append(network.model(pixels).double().softmax(1).cpu().numpy())
    return np.concatenate(found)
