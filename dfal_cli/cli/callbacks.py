"""Callbacks of --version and --config, which take effect before the command runs."""

import sys
from pathlib import Path

import typer

from dfal_cli import __version__
from dfal_cli.cli.commands import COMMANDS
from dfal_cli.cli.config import Key, read_config
from dfal_cli.cli.streams import print_result
from dfal_cli.errors import UsageError


def show_version(wanted: bool) -> None:
    """Print the version and exit."""
    if wanted:
        print_result(f"dfal {__version__}", sys.stdout)
        raise typer.Exit


def use_config(context: typer.Context, path: Path | None) -> Path | None:
    """Use the command's section of a YAML file as defaults, so that the command line takes precedence."""
    if path is None:
        return None
    try:
        context.default_map = read_config(path, context.info_name or "", _keys_of(context), list(COMMANDS))
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None
    return path


def _keys_of(context: typer.Context) -> dict[str, Key]:
    """The command's options by their spelling without dashes, except --config and --version."""
    keys: dict[str, Key] = {}
    for parameter in context.command.params:
        if parameter.is_eager:
            continue
        name, repeatable = parameter.name or "", getattr(parameter, "multiple", False)
        switch = True if parameter.secondary_opts else None
        keys |= {spelling.lstrip("-"): Key(name, repeatable, switch) for spelling in parameter.opts}
        keys |= {spelling.lstrip("-"): Key(name, repeatable, False) for spelling in parameter.secondary_opts}
    return keys
