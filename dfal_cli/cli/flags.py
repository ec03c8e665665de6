"""Commands whose help has nothing behind a flag: typer would put a <bool> there, as if it took a value."""

from typing import Any

from typer.core import TyperCommand, TyperGroup


class Command(TyperCommand):
    """A command."""

    def get_params(self, ctx: Any) -> Any:
        """Its options, those included that typer adds."""
        return _without_types(super().get_params(ctx))


class Group(TyperGroup):
    """The program, which has commands."""

    def get_params(self, ctx: Any) -> Any:
        """Its options, those included that typer adds."""
        return _without_types(super().get_params(ctx))


def _without_types(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters
