"""Describes how the inputs and options of an existing output differ from those of the current command."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dfal_cli.system.fingerprints import digest_of_many, fingerprint

UNKNOWN = "from other options or files, or by another version of dfal"
MOST_DIFFERENCES = 3
"""Maximum number of differences in a description."""
NOTHING: tuple[Any, ...] = ("", None, [], digest_of_many(()))
"""Values of a part whose option was not given: the hash of no file, or of no rows."""
MAX_LENGTH = 500
"""Limit of a description, in characters: metadata from elsewhere may hold anything."""


def provenance(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata about the inputs of an output: a fingerprint of all of them, the settings, and the other parts.

    inputs: "settings" (the options) and other parts, such as hashes of files.
    """
    parts = {name: value for name, value in inputs.items() if name != "settings"}
    return {"made_from": fingerprint(inputs), "settings": inputs["settings"], "parts": parts}


def describe_changes(metadata: Mapping[str, Any], inputs: Mapping[str, Any], texts: Mapping[str, str]) -> str:
    """Describe how the inputs of an output, whose metadata hold a `provenance`, differ from `inputs`.

    The metadata may be anything; `texts` is that of `differences`.
    """
    match metadata:
        case {"settings": dict(settings), "parts": dict(parts)}:
            with contextlib.suppress(RecursionError):  # from deeply nested brackets
                description = in_words(differences({"settings": settings, **parts}, inputs, texts))
                return description[:MAX_LENGTH] or UNKNOWN
    return UNKNOWN


def in_words(found: Iterable[str]) -> str:
    """Return differences as a list for a message; of many only the first."""
    some = list(found)
    more = len(some) - MOST_DIFFERENCES
    return " and ".join([*some[:MOST_DIFFERENCES], *([f"{more} more"] if more > 0 else [])])


def differences(before: Mapping[str, Any], now: Mapping[str, Any], texts: Mapping[str, str]) -> Iterator[str]:
    """Describe each part with a text, and then each option ("settings"), whose value before differs from now.

    texts: part -> a text in which {0} is the value before and {1} the value now. If it names the option of the part
    (--part), and the option was not given before or now, the difference is described like that of an option.
    Parts that are not in `now` are left out.
    """
    for part, text in texts.items():
        if part in now and before.get(part) != now[part]:
            yield _part_difference(f"--{part.replace('_', '-')}", before.get(part, "another"), now[part], text)
    old, new = before.get("settings", {}), now["settings"]
    for name in new:
        was, is_now = _as_option(name, old.get(name)), _as_option(name, new[name])
        if was != is_now:
            yield _option_difference(was, is_now)


def _part_difference(option: str, before: Any, now: Any, text: str) -> str:
    if option in text and before in NOTHING:
        return f"without {option}"
    if option in text and now in NOTHING:
        return f"with {option}, not without"
    return text.format(before, now)


def _option_difference(before: str, now: str) -> str:
    if not before:
        return f"without {now}"
    if not now:
        return f"with {before}, not without"
    option, _, value = now.partition(" ")
    return f"with {before}, not {value if value and before.startswith(f'{option} ') else now}"


def _as_option(name: str, value: Any) -> str:
    """Return an option as on the command line; "" if it is not set."""
    if name == "grey":
        return {True: "--gray", False: "--color"}.get(value, "")
    if value is None or value is False or value in ([], ()):  # but 0 is a value
        return ""
    option = f"--{name.replace('_', '-')}"
    if isinstance(value, list | tuple):
        return " ".join(f"{option} {one}" for one in value)
    return option if value is True else f"{option} {value}"
