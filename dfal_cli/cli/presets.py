"""Options that belong together, by name."""

from typing import Any

import typer

from dfal_cli.errors import UsageError

PRESETS: dict[str, dict[str, Any]] = {
    # The authors' margins (arXiv:1802.09841 and their code). They train five times, in batches of 10.
    "paper": {
        "candidates": 300, "max_iterations": 10, "overshoot": 0.0, "estimator": "deepfool", "norm": "l2",
        "classes": None, "clip": False,
    },
}  # fmt: skip


def with_preset(context: typer.Context, values: dict[str, Any]) -> dict[str, Any]:
    """The values of a command's options, with those of `--preset` for the options that were not given.

    Raises UsageError if there is no such preset.
    """
    name = values.get("preset")
    if name is None:
        return values
    if name not in PRESETS:
        raise UsageError(f"--preset {name}: use {' or '.join(PRESETS)}")
    return values | {option: value for option, value in PRESETS[name].items() if _is_default(context, option)}


def _is_default(context: typer.Context, option: str) -> bool:
    source = context.get_parameter_source(option)
    return source is not None and source.name == "DEFAULT"
