"""What suits the images, where an option of training is left to dfal."""

from typing import NamedTuple

from dfal_cli.architecture import LARGEST_SIDE_FOR_LENET5
from dfal_cli.images import Shape


class HowToTrain(NamedTuple):
    """Options of training that may be left to dfal."""

    patience: int
    monitor: str
    augment: str
    validation_fraction: float


SMALL_IMAGES = HowToTrain(patience=5, monitor="loss", augment="none", validation_fraction=0.2)
"""Digits, sketches, icons: what LeNet5 is for. It is how the paper trains."""

PHOTOS = HowToTrain(patience=50, monitor="accuracy", augment="photo", validation_fraction=0.2)
"""Larger images, from scratch, as measured with few labels (tests/experiments/clothing10_from_scratch).

The validation loss is lowest after a few epochs, when the network has learnt nothing: it grows sure of itself long
before its accuracy is at its best.
"""

PRETRAINED = HowToTrain(patience=5, monitor="loss", augment="none", validation_fraction=0.2)
"""Larger images, from weights that know images already."""


def how_to_train(
    shape: Shape,
    *,
    from_scratch: bool,
    patience: int | None,
    monitor: str | None,
    augment: str | None,
    validation_fraction: float | None,
) -> HowToTrain:
    """What suits images of this shape, (C, H, W), but as told where something is told."""
    suited = _suited_to(shape, from_scratch)
    return HowToTrain(
        suited.patience if patience is None else patience,
        suited.monitor if monitor is None else monitor,
        suited.augment if augment is None else augment,
        suited.validation_fraction if validation_fraction is None else validation_fraction,
    )


def _suited_to(shape: Shape, from_scratch: bool) -> HowToTrain:
    if max(shape[1:]) <= LARGEST_SIDE_FOR_LENET5:
        return SMALL_IMAGES
    return PHOTOS if from_scratch else PRETRAINED
