"""The commands. Each is built from its options class and its step only when it is called, so that start-up stays quick.

The options of the command NAME are the fields of NameOptions in dfal_cli.steps.NAME.options, and its step is the
function NAME in dfal_cli.steps.NAME.command.
"""

import importlib
import inspect
from collections.abc import Callable, Iterator
from inspect import Parameter
from typing import Any

import typer

from dfal_cli.system.ranks import this_rank

COMMANDS = {
    "train": "Train a classifier on the labelled images and their twins, or a head on their embeddings.",
    "score": "Score the pool: compute margin, confidence and entropy of every image.",
    "select": "Select the images to label next and write them as a list to fill in.",
    "label": "Answer a query list in the browser.",
    "merge": "Merge the answers of a query list into the labels file.",
    "predict": "Predict the class of every image.",
    "evaluate": "Evaluate a checkpoint on labelled images: accuracy, confused classes, calibration.",
    "review": "List the labels that are probably wrong, to be answered anew.",
    "simulate": "Simulate rounds with known labels, to compare strategies before paying for labels.",
    "export": "Hand a query list over to a labelling tool.",
    "explain": "Say why an image was asked about, or why it was not.",
    "embed": "Embed the images: compute the vector that a pretrained network makes of each image.",
    "status": "Report where a project stands: labels, accuracy, forecast, and whether to stop.",
}
"""Help of each command, in the order of `dfal --help`."""


def options_class(name: str) -> type:
    """Return the options class of a command."""
    options: type = getattr(importlib.import_module(f"dfal_cli.steps.{name}.options"), f"{name.capitalize()}Options")
    return options


def command(name: str) -> Callable[..., None]:
    """Return a function that runs the step, with one parameter per option, from which typer builds the command."""
    from dfal_cli.cli.presets import with_preset
    from dfal_cli.cli.run import running
    from dfal_cli.steps.option import options_of

    options = options_class(name)

    def run_command(context: typer.Context, **values: Any) -> None:
        with running(context) as run:
            values = with_preset(context, values)
            given = options(**{each.name: values[each.name] for each in options_of(options)})
            run_step(name, given, run)

    parameters = [Parameter("context", Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)]
    parameters += _parameters(options)
    run_command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run_command.__annotations__ = {each.name: each.annotation for each in parameters}
    return run_command


def run_step(name: str, options: Any, run: Any) -> None:
    """Run the step of a command, alone or as one of several ranks."""
    rank = this_rank()
    if rank is None:
        step = getattr(importlib.import_module(f"dfal_cli.steps.{name}.command"), name)
        run.finish(step(options, run.reporter))
        return
    from dfal_cli.cli.ranks import follow, lead

    if rank.leads:
        run.finish(lead(rank, name, options, run.reporter))
    else:
        follow(rank, name, options)


def _parameters(options: type) -> Iterator[Parameter]:
    from dfal_cli.cli.parameters import PRESET, SHARED, parameter_of
    from dfal_cli.steps.option import options_of
    from dfal_cli.steps.option_groups import MarginOptions

    yield from map(parameter_of, options_of(options))
    if issubclass(options, MarginOptions):
        yield PRESET
    yield from SHARED
