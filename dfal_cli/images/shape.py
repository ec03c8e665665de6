"""The input shape of a network: given by options, or chosen by the colours and sizes of the images."""

from collections import Counter
from collections.abc import Callable, Iterable

from dfal_cli.errors import plural
from dfal_cli.images.decode import Probe, Shape

SIDE_WHEN_SIZES_DIFFER = 224
"""The input size of most networks. Images of one common size that is larger also get it."""

FEW = 10
"""At most one image in FEW is an exception: exceptions do not decide the shape and are warned of."""


def common_shape(
    probes: Iterable[Probe],
    image_size: int | None,
    grey: bool | None,
    warn: Callable[[str], None] = lambda text: None,
) -> Shape:
    """Return the input shape (C, H, W) that the options and the images give.

    Without `grey`, the input is grey if every image is. Without `image_size`, it has the images' `own_size`, else
    SIDE_WHEN_SIZES_DIFFER squared. probes: read only if an option is missing. warn: called about exceptional images.
    """
    if grey is not None and image_size is not None:
        return (1 if grey else 3, image_size, image_size)
    seen = Counter(probes)
    channels = _channels(seen, warn) if grey is None else 1 if grey else 3
    return (channels, *(_size(seen, warn) if image_size is None else (image_size, image_size)))


def _channels(seen: Counter[Probe], warn: Callable[[str], None]) -> int:
    colour = sum(count for probe, count in seen.items() if not probe.grey)
    if 0 < FEW * colour <= seen.total():
        warn(
            f"{colour} of {seen.total()} images {plural(colour, 'has', 'have')} colour channels, so the network takes "
            f"colour images; use --gray if {plural(colour, 'it looks', 'they look')} grey"
        )
    return 3 if colour else 1


def own_size(probes: Iterable[Probe]) -> tuple[int, int] | None:
    """Return the height and width that nine images in ten have, if any, up to SIDE_WHEN_SIZES_DIFFER; else None."""
    sizes = _by_size(Counter(probes))
    if not sizes or FEW * (sizes.total() - max(sizes.values())) > sizes.total():
        return None
    size, _ = sizes.most_common(1)[0]
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
        are = plural(others.total(), "is", "are")
        warn(
            f"{others.total()} of {seen.total()} images {are} not {width}x{height} like the others (one is "
            f"{other_width}x{other_height}) and will be resized; use --image-size to set another size"
        )
    return height, width


def _by_size(seen: Counter[Probe]) -> Counter[tuple[int, int]]:
    sizes: Counter[tuple[int, int]] = Counter()
    for probe, count in seen.items():
        sizes[probe.height, probe.width] += count
    return sizes
