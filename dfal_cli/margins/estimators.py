"""The table of margin estimators."""

from dfal_cli.margins.crossing import Crossing, Estimator
from dfal_cli.margins.deepfool_walk import deepfool
from dfal_cli.margins.refinement import refined

ESTIMATORS: dict[str, Estimator] = {
    "deepfool": deepfool,
    "refined": refined,
}

__all__ = ["ESTIMATORS", "Crossing", "Estimator", "deepfool", "refined"]
