"""Margin estimators: how far an image is from the nearest other class, in pixel space with inputs in [0, 1].

An estimator is a function of a model and images. It is given no labels: the pool has none, and a signature that cannot
receive labels cannot leak them. To add one: write it in this package, give it a line in ESTIMATORS.
"""

from dfal_cli.margins.crossing import Crossing, Estimator
from dfal_cli.margins.deepfool import deepfool
from dfal_cli.margins.refined import refined

ESTIMATORS: dict[str, Estimator] = {
    "deepfool": deepfool,
    "refined": refined,
}

__all__ = ["ESTIMATORS", "Crossing", "Estimator", "deepfool", "refined"]
