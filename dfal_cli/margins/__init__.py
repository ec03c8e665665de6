"""Margins: the distance from an image to the nearest other class.

An estimator measures it in pixel space, with inputs in [0, 1]. It is a function of a model and images. It takes no
labels: the pool has none, and a signature without labels cannot leak them. To add an estimator, write it in this
package and add it to ESTIMATORS in `estimators.py`. For a linear classifier, `linear.py` has the closed form.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfal_cli.margins.estimators import ESTIMATORS, Crossing, Estimator, deepfool, refined

__all__ = ["ESTIMATORS", "Crossing", "Estimator", "deepfool", "refined"]


def __getattr__(name: str) -> Any:
    """Import the estimators, which need torch, on their first use: the closed form does without."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dfal_cli.margins import estimators

    return getattr(estimators, name)
