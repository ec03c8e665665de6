"""Advice for `train` and `simulate`: what to do if a network has not learnt, or is unlikely to."""

from dfal_cli.images import Shape

SIDE_OF_PHOTOS = 64
"""Default input size for photos of different sizes, in pixels: at 72 to 128 a ResNet-18 learnt less from 100 labels."""


ENOUGH_PHOTOS = 10_000
"""Number of labelled photos from which a network from scratch may be a good choice; 600 are far too few."""


def instead_of_from_scratch(count: int) -> str:
    """Return a warning about a training from scratch on `count` photos; "" if they are many."""
    if count >= ENOUGH_PHOTOS:
        return ""
    return (
        f"{count} labelled photos are too few to train a network from scratch; a pretrained one learns more from "
        "fewer, in seconds: dfal embed --images DIR --out FILE, then dfal train --embeddings FILE"
    )


def what_to_try(shape: Shape, *, at_last_epoch: bool | None, may_start_pretrained: bool) -> str:
    """Return what may help a network with input (C, H, W), the likeliest remedy first, as a phrase.

    at_last_epoch: whether the best epoch was the last one allowed; None if unknown.
    may_start_pretrained: whether there are pretrained weights that the training did not use.
    """
    remedies = {
        "more --epochs": at_last_epoch is not False,
        "more --patience": at_last_epoch is not True,
        "a smaller --image-size": max(shape[1:]) > SIDE_OF_PHOTOS,
        "pretrained weights (--pretrained, --weights)": may_start_pretrained,
        "--augment photo": True,
        "more labels": True,
    }
    *others, last = [remedy for remedy, helps in remedies.items() if helps]
    return f"{', '.join(others)}, or {last}"
