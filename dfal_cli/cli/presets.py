"""Presets: named sets of option values."""

from typing import Any

import typer

from dfal_cli.errors import UsageError, did_you_mean
from dfal_cli.steps.option import no_effect

PRESETS: dict[str, dict[str, Any]] = {
    # The margins of arXiv:1802.09841 and its published code.
    "paper": {
        "candidates": 300, "max_iterations": 10, "overshoot": 0.0, "estimator": "deepfool", "norm": "l2",
        "classes": None, "clip": False,
    },
}  # fmt: skip


def with_preset(context: typer.Context, values: dict[str, Any]) -> dict[str, Any]:
    """The values of a command's options; `--preset` replaces the values of options that were not given.

    Raises UsageError if the preset does not exist, or if no network is trained on images and scored in pixels.
    """
    name = values.get("preset")
    if name is None:
        return values
    if name not in PRESETS:
        raise UsageError(f"--preset {name}: use {' or '.join(PRESETS)}{did_you_mean(name, PRESETS)}")
    for way in ("embeddings", "freeze"):  # the estimators of a preset are those of margins in pixels
        if values.get(way):
            raise no_effect(f"--preset {name}", f"with --{way}")
    return values | {option: value for option, value in PRESETS[name].items() if _is_default(context, option)}


def _is_default(context: typer.Context, option: str) -> bool:
    source = context.get_parameter_source(option)
    return source is not None and source.name == "DEFAULT"
