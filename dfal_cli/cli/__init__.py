"""The command line: the program and its commands, made from the options classes of the steps."""

import sys
from typing import Annotated, Any, cast

import typer

from dfal_cli.cli.arguments import check_arguments
from dfal_cli.cli.callbacks import show_version
from dfal_cli.cli.commands import COMMANDS, command
from dfal_cli.cli.docs import docs
from dfal_cli.cli.flags import Command, Group
from dfal_cli.cli.run import what_failed
from dfal_cli.cli.streams import complain, make_sure_of_streams
from dfal_cli.errors import Interrupted, UsageError
from dfal_cli.system.signals import handled

# typer gives a name to this one of its usage errors only; the others share its parent.
USAGE_ERROR = cast(type[Exception], typer.BadParameter.__base__)

app = typer.Typer(
    name="dfal",
    cls=Group,
    help="Choose which images to label next: train, score, select, label by hand, merge, and again.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for name, options in COMMANDS.items():
    app.command(name, cls=Command)(command(name, options))
app.command(cls=Command)(docs)


@app.callback()
def dfal(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=show_version, is_eager=True)
    ] = False,
) -> None:
    """Choose which images to label next: train, score, select, label by hand, merge, and again."""


def main() -> None:
    """Run the program; a wrong use of it is said in two lines at most."""
    make_sure_of_streams()
    with handled():
        try:
            check_arguments(["dfal", *sys.argv[1:]])
            code = app(prog_name="dfal", standalone_mode=False)
        except UsageError as error:  # before a command had begun: it says its own
            complain(f"dfal: {error}")
            sys.exit(error.exit_code)
        except USAGE_ERROR as error:
            _explain(error)
            sys.exit(2)
        except OSError as error:  # help cannot be printed, or completion not be installed
            message, code = what_failed(error)
            complain(f"dfal: {message}")
        except Interrupted as stopped:  # before a command had begun
            sys.exit(stopped.exit_code)
    sys.exit(code)


def _explain(error: Any) -> None:
    command = error.ctx.command_path if error.ctx else "dfal"
    if error.format_message():  # there is none when help has been shown, because nothing at all was asked
        complain(f"{command}: {error.format_message()}", f"`{command} --help` lists the options")
