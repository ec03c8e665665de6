"""What --version and --config do as soon as they are read, before the command."""

import sys
from pathlib import Path
from typing import Any

import typer

from dfal_cli import __version__
from dfal_cli.cli.config import Key, read_config
from dfal_cli.cli.streams import tell
from dfal_cli.errors import UsageError


def show_version(wanted: bool) -> None:
    """Print the version, and leave it at that."""
    if wanted:
        tell(f"dfal {__version__}", sys.stdout)
        raise typer.Exit


def use_config(context: typer.Context, path: Path | None) -> Path | None:
    """Make the command's section of a YAML file its defaults, so that flags win."""
    if path is None:
        return None
    try:
        context.default_map = read_config(path, context.info_name or "", _keys_of(context), _commands(context))
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None
    return path


def _keys_of(context: typer.Context) -> dict[str, Key]:
    """The spellings of the command's options, without dashes; not of --config and --version, which are read already."""
    known: dict[str, Key] = {}
    for parameter in context.command.params:
        if parameter.is_eager:
            continue
        name, repeatable = parameter.name or "", getattr(parameter, "multiple", False)
        switches = True if parameter.secondary_opts else None
        known |= {spelling.lstrip("-"): Key(name, repeatable, switches) for spelling in parameter.opts}
        known |= {spelling.lstrip("-"): Key(name, repeatable, False) for spelling in parameter.secondary_opts}
    return known


def _commands(context: typer.Context) -> list[str]:
    """The commands that have a section in the file: those with --config."""
    program: Any = context.find_root().command
    return [
        name
        for name, command in program.commands.items()
        if "config" in {parameter.name for parameter in command.params}
    ]
