"""Networks by name: (num_classes, input_shape) -> nn.Module that maps images in [0, 1] to logits.

To add one: write a function `f(num_classes, input_shape)` in this package and give it a line in BUILTIN_NETWORKS.
"""

from dfal_cli.models.initialise import seeded
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
