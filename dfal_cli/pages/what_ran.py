"""The parts of a report that describe the simulation: its settings, and what its strategies do."""

import dataclasses
import importlib.metadata
from collections.abc import Iterable, Mapping
from typing import Any

from dfal_cli import __version__
from dfal_cli.images import Shape
from dfal_cli.strategies import STRATEGIES
from dfal_cli.system.processes import cores
from dfal_cli.training.architecture import default_architecture

SHOWN_ELSEWHERE = ("out", "force", "wait", "workers", "image_size", "grey")
ALL_BY_DEFAULT = ("candidates", "classes")
"""Options whose default means all."""


def what_ran(
    options: Any, shape: Shape, oracle_classes: Iterable[str], test_images: int, resolved: Mapping[str, Any]
) -> dict[str, str]:
    """Return simulate's options, spelt as on the command line and with the values that dfal chose, and data facts.

    shape: (C, H, W) of the network's input. oracle_classes: the class of each image of the oracle.
    resolved: values of options that the caller has determined.
    """
    classes = list(oracle_classes)
    channels, height, width = shape
    chosen = dict.fromkeys(ALL_BY_DEFAULT, "all") | {"arch": default_architecture(shape)}
    settings = {
        name: chosen.get(name) if value is None else value
        for name, value in dataclasses.asdict(options).items()
        if name not in SHOWN_ELSEWHERE
    }
    settings |= resolved
    return {
        **{name.replace("_", "-"): _shown(value) for name, value in settings.items() if value is not None},
        "input": f"{height} × {width}, {'grey' if channels == 1 else 'colour'}",
        "oracle": f"{len(classes):,} images, {len(set(classes)):,} classes",
        "test images": f"{test_images:,}",
        "cores": str(cores()),
        "torch": importlib.metadata.version("torch"),
        "dfal": __version__,
    }


def explained(names: Iterable[str]) -> dict[str, str]:
    """Return a description of each strategy, and whether it trains on twins; unknown names are left out."""
    return {name: _explained(name) for name in names if name in STRATEGIES}


def _explained(name: str) -> str:
    strategy = STRATEGIES[name]
    return strategy.help + ("; also trains on each query's adversarial twin" if strategy.trains_on_twins else "")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
