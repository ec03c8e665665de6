"""How what an output was made from differs from what it would be made from now, in words."""

from collections.abc import Iterator, Mapping
from typing import Any


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
