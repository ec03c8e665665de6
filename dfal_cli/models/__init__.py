"""Networks by name: (num_classes, input_shape) -> nn.Module that maps images in [0, 1] to logits.

To add one: write a function `f(num_classes, input_shape)` in this package and give it a line in OWN_NETWORKS.
"""

from dfal_cli.models.initialise import seeded
from dfal_cli.models.network import (
    Network,
    Normalisation,
    build_network,
    fit_weights,
    runs_code,
)

__all__ = [
    "Network",
    "Normalisation",
    "build_network",
    "fit_weights",
    "runs_code",
    "seeded",
]
