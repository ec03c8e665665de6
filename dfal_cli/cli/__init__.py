"""The command line: the program, with one command for each entry of COMMANDS."""

import contextlib
import os
import re
import sys
import time
import traceback
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from dfal_cli.cli.callbacks import show_version
from dfal_cli.cli.commands import COMMANDS, command
from dfal_cli.cli.docs import docs
from dfal_cli.cli.run import describe_os_error
from dfal_cli.cli.streams import is_muted, mute, open_missing_streams, print_error
from dfal_cli.errors import Interrupted, UsageError
from dfal_cli.system.ranks import Rank, this_rank
from dfal_cli.system.signals import handled

EMPTY_VALUE = re.compile(r"(--[a-z-]+)=")
"""Matches `--option=` without a value."""

SECONDS_FOR_RANK_0 = 5.0
"""A rank that has failed waits this long for rank 0 to tell why: torchrun ends all ranks when the first one fails."""

SIGNALLED = 128
"""Exit codes above are those of signals."""

# typer exports only this one of click's usage errors; its base class covers all of them.
CLICK_USAGE_ERROR = cast(type[Exception], typer.BadParameter.__base__)


class Command(TyperCommand):
    """A command whose help shows flags without typer's <bool>, as flags take no value."""

    def get_params(self, ctx: Any) -> Any:
        """Return the options, including those that typer adds."""
        return _without_bool(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Parse the arguments; every error knows the command, so that its message names the help of the command."""
        try:
            return super().parse_args(ctx, args)
        except CLICK_USAGE_ERROR as error:
            error.ctx = error.ctx or ctx  # type: ignore[attr-defined]
            raise


class Group(TyperGroup):
    """The program: a group of commands, with the same help for flags."""

    def get_params(self, ctx: Any) -> Any:
        """Return the options, including those that typer adds."""
        return _without_bool(super().get_params(ctx))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the name of the command that is called, the command with its options, and its arguments."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, with_options(name) if name in COMMANDS else listed, rest


def _without_bool(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters


app = typer.Typer(
    name="dfal",
    cls=Group,
    help="Choose which images to label next: train, score, select, label by hand, merge, and repeat.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for name, summary in COMMANDS.items():
    app.command(name, help=summary)(lambda: None)  # for the list of commands; `Group` replaces it by the command itself
app.command(cls=Command)(docs)


def with_options(name: str) -> Any:
    """Return a command with all its options."""
    alone = typer.Typer(add_completion=False)
    alone.command(name, cls=Command, help=COMMANDS[name])(command(name))
    return get_command(alone)


@app.callback()
def dfal(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=show_version, is_eager=True)
    ] = False,
) -> None:
    """Choose which images to label next: train, score, select, label by hand, merge, and repeat."""


def main() -> None:
    """Run the program. Errors outside a command are printed here; commands print their own."""
    open_missing_streams()
    rank = this_rank()
    if rank is None:
        _run()
    else:
        _run_as(rank)


def _run_as(rank: Rank) -> None:
    """Run the program as one of several ranks, of which rank 0 alone speaks."""
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # before torch is imported
    if not rank.leads:
        mute()
    code: Any = 1
    try:
        _run()
    except SystemExit as ended:
        code = ended.code or 0
    except Exception:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    if is_muted() and 0 < code < SIGNALLED:
        time.sleep(SECONDS_FOR_RANK_0)
    os._exit(code)  # torch would first wait for ranks that have died


def _run() -> None:
    with handled():
        try:
            check_arguments(["dfal", *sys.argv[1:]])
            code = app(prog_name="dfal", standalone_mode=False)
        except UsageError as error:
            print_error(f"dfal: {error}")
            sys.exit(error.exit_code)
        except CLICK_USAGE_ERROR as error:
            _print_usage_error(error)
            sys.exit(2)
        except OSError as error:  # the help could not be printed, or the shell completion not be installed
            message, code = describe_os_error(error)
            print_error(f"dfal: {message}")
        except Interrupted as interrupted:
            sys.exit(interrupted.exit_code)
    sys.exit(code)


def check_arguments(arguments: Sequence[str]) -> None:
    """Raise UsageError if an argument is empty or not UTF-8. An empty path would mean the working directory."""
    for previous, argument in pairwise(arguments):
        if argument.encode(errors="replace").decode() != argument:
            raise UsageError(f"{argument!r}: not UTF-8; rename the file")
        empty_value = EMPTY_VALUE.fullmatch(argument)
        if empty_value or not argument:
            option = empty_value[1] if empty_value else previous
            raise UsageError(f"{option} is followed by an empty value: is a shell variable not set?")


def _print_usage_error(error: Any) -> None:
    command = error.ctx.command_path if error.ctx else "dfal"
    if message := error.format_message():  # empty if help was shown because there were no arguments
        print_error(f"{command}: {message}", f"see `{command} --help` for the options")
