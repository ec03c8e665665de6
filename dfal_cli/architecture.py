"""Networks by their names: what is known of them without torch."""

import importlib.util
import sys
from pathlib import Path

from dfal_cli.fingerprints import sha256_of

LARGEST_SIDE_FOR_LENET5 = 64

DEFAULT_FOR_PHOTOS = "resnet18"

SIDE_OF_PHOTOS, SIDE_OF_OTHER_NETWORKS = 72, 224
"""Of the input in pixels where the images have no size of their own. From scratch, with 100 labelled photos, ResNet-18
learns something at 64 and 72 pixels and next to nothing at 128 and 224 (tests/experiments/clothing10_from_scratch).
Most other networks are made for 224, and so are pretrained weights."""


def side_of_photos(*architectures: str | None, from_scratch: bool = True) -> int:
    """Side of the input where the images have no size of their own. None stands for the default network."""
    small = from_scratch and all(name in (None, DEFAULT_FOR_PHOTOS) for name in architectures)
    return SIDE_OF_PHOTOS if small else SIDE_OF_OTHER_NETWORKS


def default_architecture(input_shape: tuple[int, int, int]) -> str:
    """A network that suits images of this shape, (C, H, W)."""
    return "lenet5" if max(input_shape[1:]) <= LARGEST_SIDE_FOR_LENET5 else DEFAULT_FOR_PHOTOS


def code_of(architecture: str | None) -> str | None:
    """SHA-256 of the file of a `package.module:function`; None of other networks, or if there is no such file."""
    if architecture is None or ":" not in architecture:
        return None
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        found = importlib.util.find_spec(architecture.partition(":")[0])
    except (Exception, SystemExit):  # of the user's code, and told when it is built
        return None
    finally:
        sys.path.remove(here)
    return sha256_of(Path(found.origin)) if found and found.origin and Path(found.origin).is_file() else None
