"""Defaults of training options that depend on the images."""

import dataclasses
from collections.abc import Collection
from typing import Any, NamedTuple, Protocol, TypeVar

from dfal_cli.images import Probe, own_size
from dfal_cli.training.architecture import DEFAULT_FOR_PHOTOS, LARGEST_SIDE_FOR_LENET5
from dfal_cli.training.remedies import SIDE_OF_PHOTOS


class Recipe(NamedTuple):
    """Training options whose defaults depend on the images."""

    patience: int
    monitor: str
    augment: str
    validation_fraction: float
    epochs: int = 100
    lr: float = 1e-3
    batch_size: int = 32


PAPER_RECIPE = Recipe(patience=5, monitor="loss", augment="none", validation_fraction=0.2)
"""How the paper trains on digits and sketches."""

PHOTO_RECIPE = Recipe(patience=50, monitor="accuracy", augment="photo", validation_fraction=0.2)
"""For training on few labelled photos from scratch; measured in tests/experiments/clothing10_from_scratch.

There the validation loss is lowest after a few epochs, when the network has learnt nothing yet: overconfidence raises
the loss long before the accuracy reaches its maximum.
"""


FINETUNING_RECIPE = Recipe(
    patience=10, monitor="last", augment="photo", validation_fraction=0.0, epochs=10, batch_size=16
)  # fmt: skip
"""For a pretrained network and few labels; measured in tests/experiments/clothing10_finetuned.

The learning rate falls to 0 in the last epoch, which is the one to keep: no images need to be held out to choose one.
"""


class RecipeOptions(Protocol):
    """The options of `train` and `simulate` that decide whether the photo defaults apply."""

    @property
    def arch(self) -> str | None:
        """Name of the network."""

    @property
    def image_size(self) -> int | None:
        """Side of the input in pixels."""


Options = TypeVar("Options", bound=RecipeOptions)


def are_photos(probes: Collection[Probe]) -> bool:
    """Return whether images are too large for LeNet5 or differ in size; False without images."""
    size = own_size(probes)
    return bool(probes) and (size is None or max(size) > LARGEST_SIDE_FOR_LENET5)


def fill_defaults(options: Options, probes: Collection[Probe], *, from_scratch: bool) -> Options:
    """Return the options with every None of a Recipe replaced by the default for these images.

    Photos of different sizes also get a default network and input size; `choose_input_format` and
    `default_architecture` choose those of other images.
    """
    photos = from_scratch and are_photos(probes)
    defaults: dict[str, Any] = (PHOTO_RECIPE if photos else PAPER_RECIPE)._asdict()
    if (
        photos
        and own_size(probes) is None
        and options.image_size is None
        and options.arch in (None, DEFAULT_FOR_PHOTOS)
    ):
        defaults |= {"arch": DEFAULT_FOR_PHOTOS, "image_size": SIDE_OF_PHOTOS}
    return _filled(options, defaults)


def fill_finetuning_defaults(options: Options) -> Options:
    """Return the options with every None of a Recipe replaced by the default of fine-tuning."""
    return _filled(options, FINETUNING_RECIPE._asdict())


def _filled(options: Options, defaults: dict[str, Any]) -> Options:
    missing = {name: value for name, value in defaults.items() if getattr(options, name) is None}
    return dataclasses.replace(options, **missing)  # type: ignore[type-var]


def recipe_of(options: Any) -> Recipe:
    """Return the Recipe among options that `fill_defaults` has completed."""
    return Recipe(*(getattr(options, name) for name in Recipe._fields))
