"""What a network is given to look at, when nobody says: the images' own kind and size."""

from collections.abc import Iterable

from dfal_cli.images.decode import Probe, Shape

SIDE_WHEN_SIZES_DIFFER = 224


def common_shape(probes: Iterable[Probe], image_size: int | None, grey: bool | None) -> Shape:
    """(C, H, W) of the network's input: as told, or as the images are, which are looked at only if need be.

    Grey if every one of them is; their size if all have the same, else 224 x 224.
    """
    if grey is not None and image_size is not None:
        return (1 if grey else 3, image_size, image_size)
    seen = set(probes)
    channels = 1 if (all(probe.grey for probe in seen) if grey is None else grey) else 3
    if image_size is not None:
        return (channels, image_size, image_size)
    sizes = {(probe.height, probe.width) for probe in seen}
    return (channels, *(sizes.pop() if len(sizes) == 1 else (SIDE_WHEN_SIZES_DIFFER,) * 2))
