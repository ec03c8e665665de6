"""How what an output was made from differs from what it would be made from now, in words."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from dfal_cli.system.fingerprints import fingerprint

UNKNOWN = "from what it does not tell: other options or files, or by another version of dfal"
LONGEST = 500
"""Characters of what is said: the metadata of a file from elsewhere may hold anything."""


def provenance(made_from: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata that tell what an output is made from: a fingerprint of it all, its settings, and its other parts."""
    parts = {name: value for name, value in made_from.items() if name != "settings"}
    return {"made_from": fingerprint(made_from), "settings": made_from["settings"], "parts": parts}


def describe_changes(metadata: Mapping[str, Any], made_from: Mapping[str, Any], otherwise: Mapping[str, str]) -> str:
    """Say in what an output, whose metadata hold an `origin`, was made otherwise than `made_from` has it.

    The metadata may be anything; `otherwise` is as of `differences`.
    """
    match metadata:
        case {"settings": dict(settings), "parts": dict(parts)}:
            with contextlib.suppress(RecursionError):  # of brackets without end
                said = " and ".join(differences({"settings": settings, **parts}, made_from, otherwise))
                return said[:LONGEST] or UNKNOWN
    return UNKNOWN


def differences(before: Mapping[str, Any], now: Mapping[str, Any], otherwise: Mapping[str, str]) -> Iterator[str]:
    """Say of each option ("settings"), and of each part that `otherwise` has words for, how `before` was made.

    In those words {0} stands for what a part was, {1} for what it is now.
    """
    old, new = before.get("settings", {}), now["settings"]
    for name in new:
        was, is_now = _spelt(name, old.get(name)), _spelt(name, new[name])
        if was != is_now:
            yield _of_option(was, is_now)
    for part, said in otherwise.items():
        if before.get(part) != now[part]:
            yield said.format(before.get(part, "another"), now[part])


def _of_option(before: str, now: str) -> str:
    if not before:
        return f"without {now}"
    if not now:
        return f"with {before}, not without"
    option, _, value = now.partition(" ")
    return f"with {before}, not {value if value and before.startswith(f'{option} ') else now}"


def _spelt(name: str, value: Any) -> str:
    """An option as on the command line; "" if it is not given."""
    if name == "grey":
        return {True: "--gray", False: "--color"}.get(value, "")
    if value is None or value is False or value in ([], ()):  # but 0 is a value
        return ""
    option = f"--{name.replace('_', '-')}"
    if isinstance(value, list | tuple):
        return " ".join(f"{option} {one}" for one in value)
    return option if value is True else f"{option} {value}"
