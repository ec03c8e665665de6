"""Margin estimators: the distance from an image to the nearest other class, in pixel space with inputs in [0, 1].

An estimator is a function of a model and images. It takes no labels: the pool has none, and a signature without labels
cannot leak them. To add an estimator, write it in this package and add it to ESTIMATORS.
"""

from dfal_cli.margins.crossing import Crossing, Estimator
from dfal_cli.margins.deepfool import deepfool
from dfal_cli.margins.refined import refined

ESTIMATORS: dict[str, Estimator] = {
    "deepfool": deepfool,
    "refined": refined,
}

__all__ = ["ESTIMATORS", "Crossing", "Estimator", "deepfool", "refined"]
