"""Reads options from a YAML file with a section per command; the keys are spelled like the options."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dfal_cli.errors import UsageError, did_you_mean, listed

if TYPE_CHECKING:
    import yaml

MAX_BYTES = 1_000_000
"""Size limit of a file: parsing takes about half a second per megabyte."""

INVALID = re.compile(r"[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Matches control characters and line breaks, which no option can contain."""

TRUTH_VALUES = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class Key(NamedTuple):
    """The parameter that a key sets."""

    parameter: str
    repeatable: bool = False
    switch: bool | None = None
    """For one of an on/off pair of flags: the value it sets; None for other options."""


def read_config(path: Path, command: str, keys: Mapping[str, Key], commands: Sequence[str]) -> dict[str, Any]:
    """Read the section of a command from the file.

    keys: all options of the command by their spelling without dashes. commands: the names of all sections.
    Returns parameter -> text, list of texts, or bool.
    Raises UsageError if the file does not exist or is not YAML, for an unknown key, and for two keys of one option.
    """
    values: dict[str, Any] = {}
    for location, name, node in _section(path, command, commands):
        if name not in keys:
            raise UsageError(f"{location}: {command} has no option {listed([name])}{did_you_mean(name, keys)}")
        key, value = keys[name], _value(f"{location}: {name}", node)
        if key.parameter in values:
            spellings = [spelling for spelling in keys if keys[spelling].parameter == key.parameter]
            raise UsageError(f"{location}: {' and '.join(spellings)} are the same option; keep one of them")
        if key.switch is None:
            values[key.parameter] = _option_value(f"{location}: {name}", key, value)
        else:
            values[key.parameter] = _truth(f"{location}: {name}", value) == key.switch
    return values


def _option_value(location: str, key: Key, value: str | list[str]) -> str | list[str]:
    """A list for a repeatable option; for others the text, in which a list becomes a,b,c as on the command line."""
    values = value if isinstance(value, list) else [value]
    if "" in values or not (values or key.repeatable):  # an empty path would mean the working directory
        raise UsageError(f"{location}: has no value")
    if key.repeatable:
        return values
    if not isinstance(value, list):
        return value
    from dfal_cli.tables.csv_files import csv_line  # loads pandas

    return csv_line(values, ",")


def _section(path: Path, command: str, commands: Sequence[str]) -> Iterator[tuple[str, str, "yaml.Node"]]:
    """Yield the location, name and value of each option in the section of the command."""
    sections = ", ".join(f"{name}:" for name in commands)
    for location, name, node in _entries(_parsed(path), path, f"has no sections; put the options under {sections}"):
        if name not in commands:
            raise UsageError(f"{location}: no command {listed([name])}{did_you_mean(name, commands)}")
        if name == command and node.value != "":  # a section may be empty
            yield from _entries(node, path, f"section {command} must hold one option per line, such as `seed: 1`")


def _parsed(path: Path) -> "yaml.Node | None":
    """The file as a tree of YAML nodes.

    No objects are constructed, so aliases cannot expand without limit. Scalars stay text and are converted by their
    options: a class may be called 007 or no.
    """
    import yaml

    try:
        if not path.is_file() and path.exists():
            raise UsageError(f"{path}: is not a file (--config)")
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{path}: larger than {MAX_BYTES:,} bytes, the limit for --config")
        tree: yaml.Node | None = yaml.compose(path.read_text(encoding="utf-8-sig"), Loader=yaml.BaseLoader)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file (--config)") from None
    except RecursionError:
        raise UsageError(f"{path}: brackets are nested too deeply (--config)") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror} (--config)") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    return tree


def _entries(node: "yaml.Node | None", path: Path, problem: str) -> Iterator[tuple[str, str, "yaml.Node"]]:
    """Yield the location, key and value of each entry of a mapping; `problem` describes a node of another kind."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        raise UsageError(f"{path}: {problem}")
    lines: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        location = f"{path}, line {line}"
        if not isinstance(key, yaml.ScalarNode):
            raise UsageError(f"{location}: {problem}")
        if key.value in lines:
            raise UsageError(f"{location}: {listed([key.value])} is already set on line {lines[key.value]}; keep one")
        lines[key.value] = line
        yield location, key.value, value


def _value(location: str, node: "yaml.Node") -> str | list[str]:
    """The value of an option, or its list of values."""
    import yaml

    is_list = isinstance(node, yaml.SequenceNode)
    nodes = node.value if is_list else [node]
    if not all(isinstance(each, yaml.ScalarNode) for each in nodes):
        raise UsageError(f"{location}: must be a value or a list of values")
    texts: list[str] = [each.value for each in nodes]
    if any(map(INVALID.search, texts)):
        raise UsageError(f"{location}: contains a line break or a control character")
    return texts if is_list else texts[0]


def _truth(location: str, value: str | list[str]) -> bool:
    text = str(value).lower()
    if text not in TRUTH_VALUES:
        raise UsageError(f"{location}: must be true or false, not {listed([str(value)])}")
    return TRUTH_VALUES[text]
