"""Options from a YAML file: a section per command, keys spelt as the options."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dfal_cli.errors import UsageError

COMMANDS = ("train", "score", "select", "merge", "simulate")


class Key(NamedTuple):
    """What a key of a section stands for."""

    parameter: str
    repeatable: bool = False
    switches: bool | None = None
    """For one half of an on/off pair: whether it switches on."""


def read_config(path: Path, command: str, keys: Mapping[str, Key]) -> dict[str, Any]:
    """Read the section of `command`; keys: the spelling of each option, without dashes.

    Returns parameter -> text, list of texts, or bool. Raises UsageError: no such file, not YAML, unknown keys.
    """
    section = _sections(path).get(command) or {}
    if not isinstance(section, dict):
        raise UsageError(f"{path}: section {command} must hold options, one a line, such as `seed: 1`")
    values: dict[str, Any] = {}
    for name, value in section.items():
        if name not in keys:
            raise UsageError(f"{path}: {command} has no option {name}{_nearest(name, keys)}")
        key = keys[name]
        if key.switches is None:
            values[key.parameter] = _as_listed(key, value)
        else:
            values[key.parameter] = _truth(path, name, value) == key.switches
    return values


def _as_listed(key: Key, value: Any) -> Any:
    """One value will do where several may stand; several, where one is wanted, are the a,b,c of the command line."""
    if key.repeatable:
        return value if isinstance(value, list) else [value]
    return ",".join(map(str, value)) if isinstance(value, list) else value


def _sections(path: Path) -> dict[str, Any]:
    import yaml

    try:
        # Every scalar stays the text it is, and becomes what its option wants: a class may be called 007 or no.
        sections = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=yaml.BaseLoader)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file (--config)") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(sections, dict):
        raise UsageError(f"{path}: must have a section per command: {', '.join(COMMANDS)}")
    for name in sections:
        if name not in COMMANDS:
            raise UsageError(f"{path}: no command {name}{_nearest(name, COMMANDS)}")
    return sections


def _truth(path: Path, key: str, value: Any) -> bool:
    spoken = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
    if str(value).lower() not in spoken:
        raise UsageError(f"{path}: {key}: must be true or false, not {value!r}")
    return spoken[str(value).lower()]


def _nearest(name: str, known: Any) -> str:
    near = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""
