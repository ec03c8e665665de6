"""The parts of a report that describe the simulation: its settings, and what its strategies do."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from dfal_cli import __version__
from dfal_cli.strategies import STRATEGIES
from dfal_cli.system.processes import cores

SHOWN_ELSEWHERE = ("out", "force", "wait", "workers", "image_size", "grey")
ALL_BY_DEFAULT = ("candidates", "classes")
"""Options whose default means all."""


def what_ran(
    options: Any, oracle_classes: Iterable[str], test_images: int, *, chosen: Mapping[str, Any],
    resolved: Mapping[str, Any], without_effect: Collection[str], facts: Mapping[str, str],
) -> dict[str, str]:  # fmt: skip
    """Return simulate's options, spelt as on the command line and with the values that dfal chose, and data facts.

    oracle_classes: the class of each image of the oracle. chosen: values of options that are not given. resolved:
    final values, whatever was given. without_effect: options to leave out. facts: further rows.
    """
    classes = list(oracle_classes)
    chosen = {**dict.fromkeys(ALL_BY_DEFAULT, "all"), **chosen}
    settings = {
        name: chosen.get(name) if value is None else value
        for name, value in {**dataclasses.asdict(options), **resolved}.items()
        if name not in SHOWN_ELSEWHERE and name not in without_effect
    }
    return {
        **{name.replace("_", "-"): _shown(value) for name, value in settings.items() if value is not None},
        "oracle": f"{len(classes):,} images, {len(set(classes)):,} classes",
        "test images": f"{test_images:,}",
        "cores": str(cores()),
        **facts,
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
