"""What to try where a network has not learnt: the same advice of a training and of a simulation."""

from dfal_cli.images import Shape

SIDE_OF_PHOTOS = 64
"""Of their input in pixels, where they have no size of their own: at 72 to 128 a ResNet-18 learnt next to nothing."""


def what_to_try(shape: Shape, *, at_last_epoch: bool | None, may_start_pretrained: bool) -> str:
    """What may help a network whose input is (C, H, W), in words, the likeliest first.

    at_last_epoch: whether its best epoch was the last one allowed; None if nobody knows.
    may_start_pretrained: whether it could start from pretrained weights, and does not yet.
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
