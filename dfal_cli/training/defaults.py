"""What suits the images, where an option of training is left to dfal."""

import dataclasses
from collections.abc import Collection
from typing import Any, NamedTuple, Protocol, TypeVar

from dfal_cli.images import Probe, own_size
from dfal_cli.models.architecture import DEFAULT_FOR_PHOTOS, LARGEST_SIDE_FOR_LENET5
from dfal_cli.training.remedies import SIDE_OF_PHOTOS


class Recipe(NamedTuple):
    """Options of training that may be left to dfal."""

    patience: int
    monitor: str
    augment: str
    validation_fraction: float


PAPER_RECIPE = Recipe(patience=5, monitor="loss", augment="none", validation_fraction=0.2)
"""How the paper trains, on digits and sketches."""

PHOTO_RECIPE = Recipe(patience=50, monitor="accuracy", augment="photo", validation_fraction=0.2)
"""Photos from scratch with few labels, as measured (tests/experiments/clothing10_from_scratch).

The validation loss is lowest after a few epochs, when the network has learnt nothing: it grows sure of itself long
before its accuracy is at its best.
"""


class RecipeOptions(Protocol):
    """What may be left to dfal, of `train` and of `simulate`."""

    @property
    def arch(self) -> str | None:
        """The network."""

    @property
    def image_size(self) -> int | None:
        """Side of its input in pixels."""


Options = TypeVar("Options", bound=RecipeOptions)


def are_photos(probes: Collection[Probe]) -> bool:
    """Whether images are larger than what LeNet5 is for, or of many sizes; not if none has been looked at."""
    size = own_size(probes)
    return bool(probes) and (size is None or max(size) > LARGEST_SIDE_FOR_LENET5)


def fill_defaults(options: Options, probes: Collection[Probe], *, from_scratch: bool) -> Options:
    """The options with what suits these images in the place of what is left open.

    The network and its input size stay open where the images themselves have the say.
    """
    photos = from_scratch and are_photos(probes)
    chosen: dict[str, Any] = (PHOTO_RECIPE if photos else PAPER_RECIPE)._asdict()
    if (
        photos
        and own_size(probes) is None
        and options.image_size is None
        and options.arch in (None, DEFAULT_FOR_PHOTOS)
    ):
        chosen |= {"arch": DEFAULT_FOR_PHOTOS, "image_size": SIDE_OF_PHOTOS}
    still_open = {name: value for name, value in chosen.items() if getattr(options, name) is None}
    return dataclasses.replace(options, **still_open)  # type: ignore[type-var]


def recipe_of(options: Any) -> Recipe:
    """Those of the options in which nothing is left open."""
    return Recipe(*(getattr(options, name) for name in Recipe._fields))
