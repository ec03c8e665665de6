"""How an option is declared: once, as an annotated field of its command's options dataclass.

    nearest: Annotated[int | None, Option("Compute only the N smallest margins.", MARGIN, minimum=0)] = None

The command line, the keys of a YAML file, the tables of the documentation, the defaults of library calls and the
fingerprint of an output follow from that line.
"""

import dataclasses
import typing
from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple

INPUT, ROUNDS, NETWORK, TRAINING, MARGIN, MEASURES, OUTPUT, RUNNING, ON_A_GPU = HEADINGS = (
    "Input", "Rounds", "Network", "Training", "Margin", "Further measures", "Output", "Running", "On a GPU",
)  # fmt: skip
"""Headings under which help lists the options, in this order."""


class Shapes(Enum):
    """How an option shapes the output of its command, which decides whether an existing output is up to date."""

    BY_VALUE = "by its value"
    BY_CONTENTS = "by what is in the files that it names"
    NOTHING = "not at all"


@dataclasses.dataclass(frozen=True)
class Option:
    """What is known of an option beside its name, type and default."""

    help: str
    heading: str
    spelling: str = ""
    """On the command line, where it is not --name-of-the-field; a switch has two: --gray/--color."""
    metavar: str = ""
    """Placeholder for the value; "": N for numbers that have a minimum, none otherwise."""
    default: str = ""
    """What help shows as the default where that is not a value: "one per core"."""
    minimum: float | None = None
    maximum: float | None = None
    comma_separated: bool = False
    """Whether the command line takes a list as a,b,c."""
    shapes: Shapes = Shapes.BY_VALUE


class Declared(NamedTuple):
    """An option as its dataclass declares it."""

    name: str
    kind: Any
    """Its type, less the annotation."""
    option: Option
    default: Any
    """dataclasses.MISSING for a required option."""

    @property
    def spelling(self) -> str:
        """How the command line spells it."""
        return self.option.spelling or f"--{self.name.replace('_', '-')}"

    @property
    def is_required(self) -> bool:
        """Whether the command needs it."""
        return self.default is dataclasses.MISSING


def options_of(options: type) -> Iterator[Declared]:
    """The options that a dataclass declares: heading by heading, the required ones of each heading first."""
    kinds = typing.get_type_hints(options, include_extras=True)
    declared = [_declared(field, kinds[field.name]) for field in dataclasses.fields(options)]
    yield from sorted(declared, key=lambda each: (HEADINGS.index(each.option.heading), not each.is_required))


def settings_of(options: Any) -> dict[str, Any]:
    """The values of the options that shape the output by their value, by name."""
    return {
        each.name: getattr(options, each.name)
        for each in options_of(type(options))
        if each.option.shapes is Shapes.BY_VALUE
    }


def values_of(options: Any, *groups: type) -> dict[str, Any]:
    """The values of the options of some groups, by name, to pass them on to another command's options."""
    return {field.name: getattr(options, field.name) for group in groups for field in dataclasses.fields(group)}


def _declared(field: "dataclasses.Field[Any]", annotated: Any) -> Declared:
    kind, option = typing.get_args(annotated)
    default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    return Declared(field.name, kind, option, default)
