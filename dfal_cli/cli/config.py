"""Options from a YAML file: a section per command, keys spelt as the options."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dfal_cli.errors import UsageError, listed

if TYPE_CHECKING:
    import yaml

LARGEST = 1_000_000
"""Bytes: the parser takes a minute for a hundred times as many, and nobody writes so many options."""

UNFIT = re.compile(r"[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What no option can mean: control characters and line ends."""


class Key(NamedTuple):
    """What a key of a section stands for."""

    parameter: str
    repeatable: bool = False
    switches: bool | None = None
    """For one half of an on/off pair: whether it switches on."""


def read_config(path: Path, command: str, keys: Mapping[str, Key], commands: Sequence[str]) -> dict[str, Any]:
    """Read the section of `command`; keys: the spelling of each option, without dashes; commands: all sections.

    Returns parameter -> text, list of texts, or bool.
    Raises UsageError: no such file, not YAML, unknown keys, two keys of one option.
    """
    values: dict[str, Any] = {}
    for where, name, node in _section(path, command, commands):
        if name not in keys:
            raise UsageError(f"{where}: {command} has no option {listed([name])}{_nearest(name, keys)}")
        key, value = keys[name], _value(f"{where}: {name}", node)
        if key.parameter in values:
            same = [spelling for spelling in keys if keys[spelling].parameter == key.parameter]
            raise UsageError(f"{where}: {' and '.join(same)} are one option; keep one of them")
        if key.switches is None:
            values[key.parameter] = _as_listed(f"{where}: {name}", key, value)
        else:
            values[key.parameter] = _truth(f"{where}: {name}", value) == key.switches
    return values


def _as_listed(where: str, key: Key, value: str | list[str]) -> str | list[str]:
    """One value will do where several may stand; several, where one is wanted, are the a,b,c of the command line."""
    several = value if isinstance(value, list) else [value]
    if "" in several or not (several or key.repeatable):  # as a path it would mean the working directory
        raise UsageError(f"{where}: has no value")
    return several if key.repeatable else ",".join(several)


def _section(path: Path, command: str, commands: Sequence[str]) -> Iterator[tuple[str, str, "yaml.Node"]]:
    """The options of a command: where each stands, its name and its value."""
    sections = ", ".join(f"{name}:" for name in commands)
    for where, name, node in _entries(_parsed(path), path, f"no sections found; options stand under {sections}"):
        if name not in commands:
            raise UsageError(f"{where}: no command {listed([name])}{_nearest(name, commands)}")
        if name == command and node.value != "":  # a section may be left empty
            yield from _entries(node, path, f"section {command} must hold options, one a line, such as `seed: 1`")


def _parsed(path: Path) -> "yaml.Node | None":
    """The file as YAML's tree: nothing in it is made an object, so an alias is followed as far as it is asked for.

    Every scalar stays the text it is, and becomes what its option wants: a class may be called 007 or no.
    """
    import yaml

    try:
        if not path.is_file() and path.exists():
            raise UsageError(f"{path}: is not a file (--config)")
        if path.stat().st_size > LARGEST:
            raise UsageError(f"{path}: larger than {LARGEST:,} bytes, so it is no file of options (--config)")
        tree: yaml.Node | None = yaml.compose(path.read_text(encoding="utf-8-sig"), Loader=yaml.BaseLoader)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file (--config)") from None
    except RecursionError:
        raise UsageError(f"{path}: not options: too many brackets in each other") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror} (--config)") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    return tree


def _entries(node: "yaml.Node | None", path: Path, otherwise: str) -> Iterator[tuple[str, str, "yaml.Node"]]:
    """Where each entry of a mapping stands, its key and its value; `otherwise` is what to say if it is none."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        raise UsageError(f"{path}: {otherwise}")
    lines: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        where = f"{path}, line {line}"
        if not isinstance(key, yaml.ScalarNode):
            raise UsageError(f"{where}: {otherwise}")
        if key.value in lines:
            raise UsageError(f"{where}: {listed([key.value])} stands on line {lines[key.value]} already; keep one")
        lines[key.value] = line
        yield where, key.value, value


def _value(where: str, node: "yaml.Node") -> str | list[str]:
    """The value of an option, or several."""
    import yaml

    several = isinstance(node, yaml.SequenceNode)
    nodes = node.value if several else [node]
    if not all(isinstance(one, yaml.ScalarNode) for one in nodes):
        raise UsageError(f"{where}: must be a value or a list of values")
    texts: list[str] = [one.value for one in nodes]
    if any(map(UNFIT.search, texts)):
        raise UsageError(f"{where}: holds a line break or a control character")
    return texts if several else texts[0]


def _truth(where: str, value: str | list[str]) -> bool:
    spoken = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
    if str(value).lower() not in spoken:
        raise UsageError(f"{where}: must be true or false, not {listed([str(value)])}")
    return spoken[str(value).lower()]


def _nearest(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name[:100], list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""
