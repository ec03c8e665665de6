"""What a network is given to look at, when nobody says: the images' own kind and size."""

from collections import Counter
from collections.abc import Callable, Iterable

from dfal_cli.images.decode import Probe, Shape

SIDE_WHEN_SIZES_DIFFER = 224
"""What most networks are made for. Images that all have one larger size, photos of one camera, get this one too."""

FEW = 10
"""One in so many, or fewer, is an exception: it does not decide the size, and there is a warning."""


def common_shape(
    probes: Iterable[Probe],
    image_size: int | None,
    grey: bool | None,
    warn: Callable[[str], None] = lambda text: None,
) -> Shape:
    """(C, H, W) of the network's input: as told, or as the images are, which are looked at only if need be.

    Grey if every one of them is; their `own_size`, else SIDE_WHEN_SIZES_DIFFER squared. `warn` is told of a few images
    that are unlike the others.
    """
    if grey is not None and image_size is not None:
        return (1 if grey else 3, image_size, image_size)
    seen = Counter(probes)
    channels = _channels(seen, warn) if grey is None else 1 if grey else 3
    return (channels, *(_size(seen, warn) if image_size is None else (image_size, image_size)))


def _channels(seen: Counter[Probe], warn: Callable[[str], None]) -> int:
    colour = sum(count for probe, count in seen.items() if not probe.grey)
    if 0 < FEW * colour <= seen.total():
        them, have = ("it is", "has") if colour == 1 else ("they are", "have")
        warn(
            f"{colour} of {seen.total()} images {have} colour channels, so the network takes colour; "
            f"use --gray if {them} grey all the same"
        )
    return 3 if colour else 1


def own_size(probes: Iterable[Probe]) -> tuple[int, int] | None:
    """The height and width that nine of ten images have; None if there is none, or a larger one than networks take."""
    common = _by_size(Counter(probes))
    if not common or FEW * (common.total() - max(common.values())) > common.total():
        return None
    size, _ = common.most_common(1)[0]
    return size if max(size) <= SIDE_WHEN_SIZES_DIFFER else None


def _size(seen: Counter[Probe], warn: Callable[[str], None]) -> tuple[int, int]:
    """Height and width."""
    size = own_size(seen.elements())
    if size is None:
        return SIDE_WHEN_SIZES_DIFFER, SIDE_WHEN_SIZES_DIFFER
    others = _by_size(seen)
    height, width = size
    del others[size]
    if others:
        (other_height, other_width), _ = others.most_common(1)[0]
        is_not = "is not" if others.total() == 1 else "are not"
        warn(
            f"{others.total()} of {seen.total()} images {is_not} {width}x{height} like the others (one is "
            f"{other_width}x{other_height}) and resized to that; --image-size sets another size"
        )
    return height, width


def _by_size(seen: Counter[Probe]) -> Counter[tuple[int, int]]:
    sizes: Counter[tuple[int, int]] = Counter()
    for probe, count in seen.items():
        sizes[probe.height, probe.width] += count
    return sizes
