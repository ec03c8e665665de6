"""What is known about a network by its name alone, without importing torch."""

import importlib.util
import sys
from pathlib import Path

from dfal_cli.system.fingerprints import sha256_of

LARGEST_SIDE_FOR_LENET5 = 64

DEFAULT_FOR_PHOTOS = "resnet18"


def default_architecture(input_shape: tuple[int, int, int]) -> str:
    """Return the default network for images of this shape, (C, H, W)."""
    return "lenet5" if max(input_shape[1:]) <= LARGEST_SIDE_FOR_LENET5 else DEFAULT_FOR_PHOTOS


def code_sha256(architecture: str | None) -> str | None:
    """Return the SHA-256 of the source file of a `package.module:function`; None for other networks or without file."""
    if architecture is None or ":" not in architecture:
        return None
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        found = importlib.util.find_spec(architecture.partition(":")[0])
    except (Exception, SystemExit):  # raised by the user's code; reported when the network is built
        return None
    finally:
        sys.path.remove(here)
    return sha256_of(Path(found.origin)) if found and found.origin and Path(found.origin).is_file() else None
