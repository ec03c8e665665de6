"""What a network is given to look at, when nobody says: the images' own kind and size."""

from collections import Counter
from collections.abc import Callable, Iterable

from dfal_cli.images.decode import Probe, Shape

LARGEST_SIDE = 224
"""Images that all have one larger size are photos of one camera: they are made smaller like those of many sizes."""

FEW = 10
"""One in so many, or fewer, is an exception: it does not decide the size, and there is a warning."""


def common_shape(
    probes: Iterable[Probe],
    image_size: int | None,
    grey: bool | None,
    side: int,
    warn: Callable[[str], None] = lambda text: None,
) -> Shape:
    """(C, H, W) of the network's input: as told, or as the images are, which are looked at only if need be.

    Grey if every one of them is; the size that nine of ten have, if it is no larger than LARGEST_SIDE, else
    `side` x `side`. `warn` is told of a few images that are unlike the others.
    """
    if grey is not None and image_size is not None:
        return (1 if grey else 3, image_size, image_size)
    seen = Counter(probes)
    channels = _channels(seen, warn) if grey is None else 1 if grey else 3
    return (channels, *(_size(seen, warn, side) if image_size is None else (image_size, image_size)))


def _channels(seen: Counter[Probe], warn: Callable[[str], None]) -> int:
    colour = sum(count for probe, count in seen.items() if not probe.grey)
    if 0 < FEW * colour <= seen.total():
        them, have = ("it is", "has") if colour == 1 else ("they are", "have")
        warn(
            f"{colour} of {seen.total()} images {have} colour channels, so the network takes colour; "
            f"use --gray if {them} grey all the same"
        )
    return 3 if colour else 1


def _size(seen: Counter[Probe], warn: Callable[[str], None], side: int) -> tuple[int, int]:
    """Height and width."""
    sizes: Counter[tuple[int, int]] = Counter()
    for probe, count in seen.items():
        sizes[probe.height, probe.width] += count
    common = sizes.most_common(2)
    unlike = seen.total() - common[0][1] if common else 0
    if not common or FEW * unlike > seen.total() or max(common[0][0]) > LARGEST_SIDE:
        return side, side
    height, width = common[0][0]
    if unlike:
        other_height, other_width = common[1][0]
        is_not = "is not" if unlike == 1 else "are not"
        warn(
            f"{unlike} of {seen.total()} images {is_not} {width}x{height} like the others (one is "
            f"{other_width}x{other_height}) and resized to that; --image-size sets another size"
        )
    return height, width
