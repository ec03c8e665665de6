"""All images of a training, decoded before the first epoch: a wrong row must not cost the epochs."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from dfal_cli.images import ImageSource, InputFormat
from dfal_cli.system.reporting import Reporter
from dfal_cli.training.examples import Examples, load_examples
from dfal_cli.training.label_sets import LabelSets
from dfal_cli.training.split import split_images


class TrainingData(NamedTuple):
    """Examples by what they are for."""

    labelled: Examples
    """Labelled images to train on, and their twins."""
    training: Examples
    """These, and what trains along: images with pseudo-labels."""
    validation: Examples | None
    test: Examples | None
    twins: int
    """That the labelled images have; those of images split off do not train."""

    @property
    def measured(self) -> dict[str, Examples]:
        """What the network is measured on: images only, since twins are made to be hard."""
        sets = {"training": self.labelled.without_twins(), "validation": self.validation, "test": self.test}
        return {name: examples for name, examples in sets.items() if examples is not None}


def load_training_data(
    images: ImageSource,
    sets: LabelSets,
    input_format: InputFormat,
    pictures: Sequence[str],
    *,
    with_twins: bool,
    validation_fraction: float,
    seed: int,
    workers: int | None,
    reporter: Reporter,
) -> TrainingData:
    """Decode every set, and split validation images off the labelled ones if there is no set of them.

    pictures: hashes of what is in the labelled images, "" where not known; equal ones stay together.
    A split-off image's twin neither trains nor is measured. Raises DataError if an image cannot be read.
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
    assert labelled is not None  # `read_label_sets` has seen to it
    twins = len(labelled.twin_of)
    if validation is None:
        generator = torch.Generator().manual_seed(seed)
        chosen = split_images(labelled.labels, pictures, validation_fraction, generator)
        if chosen.any():
            labelled, validation = labelled.of_images(~chosen), labelled.of_images(chosen).without_twins()
    training = labelled if pseudo is None else labelled.followed_by(pseudo)
    return TrainingData(labelled, training, validation, test, twins)
