"""Options, each declared once as an annotated field of its command's options dataclass.

    nearest: Annotated[int | None, Option("Compute only the N smallest margins.", MARGIN, minimum=0)] = None

The command line, the keys of configuration files, the tables of the documentation, the defaults of library calls and
the fingerprint of an output follow from this declaration.
"""

import dataclasses
import typing
from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple

from dfal_cli.errors import UsageError

INPUT, ROUNDS, NETWORK, TRAINING, HEAD, MARGIN, MEASURES, OUTPUT, RUNNING, ON_A_GPU = HEADINGS = (
    "Input", "Rounds", "Network", "Training", "Head on embeddings", "Margin", "Additional measures", "Output",
    "Runtime", "GPU",
)  # fmt: skip
"""Headings of the options in the help, in this order."""


class Shapes(Enum):
    """How an option affects the output of its command, which decides whether an existing output is up to date."""

    BY_VALUE = "by its value"
    BY_CONTENTS = "by the contents of the files it names"
    NOTHING = "not at all"


@dataclasses.dataclass(frozen=True)
class Option:
    """The annotation of an option: everything but its name, type and default."""

    help: str
    heading: str
    spelling: str = ""
    """Spelling on the command line; "" for --name-of-the-field. A pair of flags has two: --gray/--color.

    A positional argument is spelled without hyphens: IMAGE.
    """
    metavar: str = ""
    """Placeholder for the value in the help; "" for N if there is a minimum, else the default of typer."""
    default: str = ""
    """Text that the help shows as the default if the default is not a value: "one per core"."""
    minimum: float | None = None
    maximum: float | None = None
    comma_separated: bool = False
    """Whether the command line takes a list as a,b,c: a line of CSV."""
    shapes: Shapes = Shapes.BY_VALUE


class Declared(NamedTuple):
    """An option with its name, type and default."""

    name: str
    kind: Any
    """Type of the value."""
    option: Option
    default: Any
    """dataclasses.MISSING for a required option."""

    @property
    def spelling(self) -> str:
        """Spelling on the command line."""
        return self.option.spelling or f"--{self.name.replace('_', '-')}"

    @property
    def is_required(self) -> bool:
        """Whether the option must be given."""
        return self.default is dataclasses.MISSING


def options_of(options: type) -> Iterator[Declared]:
    """Yield the options of a dataclass by heading, the required ones first."""
    kinds = typing.get_type_hints(options, include_extras=True)
    declared = [_declared(field, kinds[field.name]) for field in dataclasses.fields(options)]
    yield from sorted(declared, key=lambda each: (HEADINGS.index(each.option.heading), not each.is_required))


def given_options(options: Any) -> Iterator[Declared]:
    """Yield the options that differ from their defaults."""
    yield from (each for each in options_of(type(options)) if getattr(options, each.name) != each.default)


def no_effect(option: str, way: str) -> UsageError:
    """Return the error that an option would be ignored. way: the reason, such as "with --embeddings"."""
    return UsageError(f"{option}: no effect {way}; remove it")


def settings_of(options: Any) -> dict[str, Any]:
    """The options that shape the output by their value: name -> value."""
    return {
        each.name: getattr(options, each.name)
        for each in options_of(type(options))
        if each.option.shapes is Shapes.BY_VALUE
    }


def options_in(*groups: type) -> frozenset[str]:
    """Return the names of the options of some groups."""
    return frozenset(field.name for group in groups for field in dataclasses.fields(group))


def values_of(options: Any, *groups: type) -> dict[str, Any]:
    """The options of some groups, to pass them to another command: name -> value."""
    return {field.name: getattr(options, field.name) for group in groups for field in dataclasses.fields(group)}


def _declared(field: "dataclasses.Field[Any]", annotated: Any) -> Declared:
    kind, option = typing.get_args(annotated)
    default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    return Declared(field.name, kind, option, default)
