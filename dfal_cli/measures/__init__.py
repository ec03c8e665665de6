"""Measures: numbers or vectors per image that `score` computes with the network.

To add one, write a function (model, settings) -> function of images in this package and add it to MEASURES in
`table.py`. For a linear classifier, `linear.py` has closed forms.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfal_cli.measures.table import (
        MEASURES,
        Compute,
        Measure,
        MeasureRunner,
        Probabilities,
        Settings,
        probabilities,
    )

__all__ = ["MEASURES", "Compute", "Measure", "MeasureRunner", "Probabilities", "Settings", "probabilities"]


def __getattr__(name: str) -> Any:
    """Import the measures of networks, which need torch, on their first use: the closed forms do without."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dfal_cli.measures import table

    return getattr(table, name)
