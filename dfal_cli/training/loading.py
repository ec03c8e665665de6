"""Loading all images of a training before the first epoch, so that an unreadable image costs no training time."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from dfal_cli.images import ImageSource, InputFormat
from dfal_cli.system.reporting import Reporter
from dfal_cli.training.examples import Examples, load_examples
from dfal_cli.training.label_sets import LabelSets
from dfal_cli.training.split import split_images


class TrainingData(NamedTuple):
    """The examples of a training, by their use."""

    labelled: Examples
    """Labelled training images and their twins."""
    training: Examples
    """All training examples: `labelled`, and the images with pseudo-labels."""
    validation: Examples | None
    test: Examples | None
    twins: int
    """Number of twins that the labelled images have, before the validation split."""

    @property
    def measured(self) -> dict[str, Examples]:
        """The sets to evaluate the network on; without twins, which are chosen to be hard."""
        sets = {"training": self.labelled.without_twins(), "validation": self.validation, "test": self.test}
        return {name: examples for name, examples in sets.items() if examples is not None}


def load_training_data(
    images: ImageSource,
    sets: LabelSets,
    input_format: InputFormat,
    content_hashes: Sequence[str],
    *,
    with_twins: bool,
    validation_fraction: float,
    seed: int,
    workers: int | None,
    reporter: Reporter,
) -> TrainingData:
    """Decode the images of every set; without a validation set, split one off the labelled images.

    content_hashes: of the labelled images; duplicates stay on one side of the split.
    The twins of split-off images are dropped. Raises DataError if an image cannot be read.
    """

    def load(name: str, twins: bool = False) -> Examples | None:
        table = sets.tables[name]
        if table.empty:
            return None
        return load_examples(
            images, table, sets.classes_in(name), input_format, with_twins=twins, workers=workers, reporter=reporter
        )

    labelled = load("labels", with_twins)
    validation, test, pseudo = load("validation"), load("test"), load("pseudo_labels")
    assert labelled is not None  # `read_label_sets` refuses an empty table
    twins = len(labelled.twin_of)
    if validation is None:
        generator = torch.Generator().manual_seed(seed)
        chosen = split_images(labelled.labels, content_hashes, validation_fraction, generator)
        if chosen.any():
            labelled, validation = labelled.of_images(~chosen), labelled.of_images(chosen).without_twins()
    training = labelled if pseudo is None else labelled.followed_by(pseudo)
    return TrainingData(labelled, training, validation, test, twins)
