"""What suits the images, where an option of training is left to dfal."""

from typing import NamedTuple

from dfal_cli.architecture import LARGEST_SIDE_FOR_LENET5
from dfal_cli.images import Shape
from dfal_cli.images.shape import SIDE_WHEN_SIZES_DIFFER

SIDE_FROM_SCRATCH = SIDE_WHEN_SIZES_DIFFER
"""Of the input where the images' sizes differ; the same as where images are decoded before they are trained on.

It is larger than LARGEST_SIDE_FOR_LENET5: what is no larger is taken for small images, here and by the default network.
"""

SIDE_PRETRAINED = 224
"""The same for pretrained weights: what most of them were trained on."""


class HowToTrain(NamedTuple):
    """Options of training that may be left to dfal."""

    patience: int
    monitor: str
    augment: str
    validation_fraction: float


SMALL_IMAGES = HowToTrain(patience=5, monitor="loss", augment="none", validation_fraction=0.2)
"""Digits, sketches, icons: what LeNet5 is for. It is how the paper trains."""

PHOTOS = HowToTrain(patience=5, monitor="loss", augment="none", validation_fraction=0.2)
"""Larger images, from scratch."""

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
