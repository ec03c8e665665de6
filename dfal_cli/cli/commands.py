"""Builds each command from its options class and the step of the same name.

The help of a command is the first paragraph of its class's docstring; its options are the fields of the class.
"""

import importlib
import inspect
from collections.abc import Callable, Iterator
from inspect import Parameter
from typing import Any

import typer

from dfal_cli.cli.parameters import PRESET, SHARED, parameter_of
from dfal_cli.cli.presets import with_preset
from dfal_cli.cli.run import running
from dfal_cli.steps.merge.options import MergeOptions
from dfal_cli.steps.option import options_of
from dfal_cli.steps.option_groups import MarginOptions
from dfal_cli.steps.score.options import ScoreOptions
from dfal_cli.steps.select.options import SelectOptions
from dfal_cli.steps.simulate.options import SimulateOptions
from dfal_cli.steps.train.options import TrainOptions

COMMANDS: dict[str, type] = {
    "train": TrainOptions,
    "score": ScoreOptions,
    "select": SelectOptions,
    "merge": MergeOptions,
    "simulate": SimulateOptions,
}
"""Options class of each command, in the order of `dfal --help`. dfal_cli.steps.NAME.command.NAME is its step."""


def command(name: str, options: type) -> Callable[..., None]:
    """A function that runs the step, with one parameter per option, from which typer builds the command."""

    def run_command(context: typer.Context, **values: Any) -> None:
        with running(context) as run:
            values = with_preset(context, values)
            step = getattr(importlib.import_module(f"dfal_cli.steps.{name}.command"), name)
            run.finish(step(options(**{each.name: values[each.name] for each in options_of(options)}), run.reporter))

    parameters = [Parameter("context", Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)]
    parameters += _parameters(options)
    run_command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run_command.__annotations__ = {each.name: each.annotation for each in parameters}
    run_command.__doc__ = (inspect.getdoc(options) or "").split("\n\n")[0]
    return run_command


def _parameters(options: type) -> Iterator[Parameter]:
    yield from map(parameter_of, options_of(options))
    if issubclass(options, MarginOptions):
        yield PRESET
    yield from SHARED
