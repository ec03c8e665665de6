"""Networks by name: functions (num_classes, input_shape) -> nn.Module that maps images in [0, 1] to logits.

To add a network, write such a function in this package and add it to BUILTIN_NETWORKS in `network.py`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfal_cli.models.network import (
        build_network,
        check_finite,
        check_name,
        has_pretrained,
        is_known,
        load_matching_weights,
        runs_code,
        state_shapes,
    )
    from dfal_cli.models.normalised import Network, Normalisation, Shape
    from dfal_cli.models.pooling import fast_pooling
    from dfal_cli.models.seeding import seeded

__all__ = [
    "Network",
    "Normalisation",
    "Shape",
    "build_network",
    "check_finite",
    "check_name",
    "fast_pooling",
    "has_pretrained",
    "is_known",
    "load_matching_weights",
    "runs_code",
    "seeded",
    "state_shapes",
]


def __getattr__(name: str) -> Any:
    """Import what needs torch on its first use: `metadata.py` and `head_file.py` do without."""
    for module in ("network", "normalised", "pooling", "seeding") if name in __all__ else ():
        found = importlib.import_module(f"{__name__}.{module}")
        if hasattr(found, name):
            return getattr(found, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
