"""Networks by name: (num_classes, input_shape) -> nn.Module that maps images in [0, 1] to logits.

To add one: write a function `f(num_classes, input_shape)` in this package and give it a line in OWN_NETWORKS.
"""

from dfal_cli.models.initialise import seeded
from dfal_cli.models.network import (
    build_network,
    check_finite,
    check_name,
    fit_weights,
    has_pretrained,
    is_known,
    outline,
    runs_code,
)
from dfal_cli.models.normalised import Network, Normalisation, Shape
from dfal_cli.models.pooling import quick_pooling

__all__ = [
    "Network",
    "Normalisation",
    "Shape",
    "build_network",
    "check_finite",
    "check_name",
    "fit_weights",
    "has_pretrained",
    "is_known",
    "outline",
    "quick_pooling",
    "runs_code",
    "seeded",
]
