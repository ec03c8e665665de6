"""Typer parameters of the options: those declared by the steps, and those only the command line has."""

import csv
import dataclasses
import inspect
import typing
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any

import typer

from dfal_cli.cli.callbacks import show_version, use_config
from dfal_cli.cli.presets import PRESETS
from dfal_cli.errors import shown
from dfal_cli.steps.option import MARGIN, OUTPUT, RUNNING, Declared, Option
from dfal_cli.system.image_roots import Url, image_root


def parameter_of(declared: Declared) -> Parameter:
    """The parameter from which typer builds an option of a step."""
    name, kind, option, default = declared
    if not declared.spelling.startswith("-"):
        argument = typer.Argument(help=option.help, metavar=declared.spelling, rich_help_panel=option.heading)
        return _keyword(name, kind, argument, default)
    if Url in typing.get_args(kind):  # typer knows no unions
        kind, parser = str | None if type(None) in typing.get_args(kind) else str, image_root
    else:
        parser = None
    typed = typer.Option(
        *declared.spelling.split(" "),
        help=option.help,
        rich_help_panel=option.heading,
        show_default=option.default or True,
        metavar=option.metavar or ("N" if option.minimum is not None else None),
        min=option.minimum,
        max=option.maximum,
        parser=parser,
        callback=_split if option.comma_separated else None,
    )
    return _keyword(name, str | None if option.comma_separated else kind, typed, default)


def _split(line: str | None) -> list[str] | None:
    """Return the cells of a line of CSV: a name with a comma is quoted."""
    if line is None:
        return None
    if '"' not in line:  # names may then be anything without a comma, such as two lines of text
        return [name.strip() for name in line.split(",")]
    try:
        return [name.strip() for name in next(csv.reader([line], skipinitialspace=True, strict=True), [""])]
    except csv.Error:
        remedy = 'put double quotes around a name with a comma, as in cat,"red, big"'
        raise typer.BadParameter(f"{shown(line)} is not a line of CSV; {remedy}") from None


def _keyword(name: str, kind: Any, typed: object, default: Any) -> Parameter:
    missing = default is dataclasses.MISSING
    return Parameter(
        name,
        Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if missing else default,
        annotation=Annotated[kind, typed],
    )


def _extra(name: str, kind: Any, option: Option, default: Any) -> Parameter:
    """An option that exists only on the command line."""
    return parameter_of(Declared(name, kind, option, default))


PRESET = _extra(
    "preset",
    str | None,
    Option(
        f"Use the values of a preset for the options that are not given: {', '.join(PRESETS)}.", MARGIN, metavar="NAME"
    ),
    None,
)

SHARED = (
    _keyword(
        "config",
        Path | None,
        typer.Option(
            "--config",
            help="YAML file of options, with a section per command; the command line takes precedence.",
            rich_help_panel=RUNNING,
            metavar="YAML",
            is_eager=True,
            callback=use_config,
        ),
        None,
    ),
    _keyword(
        "version",
        bool,
        typer.Option(
            "--version",
            help="Show the version and exit.",
            rich_help_panel=RUNNING,
            callback=show_version,
            is_eager=True,
        ),
        False,
    ),
    _extra("quiet", bool, Option("Show only warnings and errors.", RUNNING, spelling="--quiet -q"), False),
    _extra("json", bool, Option("Print the result as one JSON object instead of paths.", OUTPUT), False),
)
"""Options of every command."""
