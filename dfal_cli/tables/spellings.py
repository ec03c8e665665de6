"""How the names of images in two places differ, if all differ in the same way: a folder in front, or backslashes."""

from collections.abc import Mapping
from typing import NamedTuple

from dfal_cli.errors import shown


class Spelling(NamedTuple):
    """What a name has that its counterpart lacks."""

    prefix: str
    """Folders in front, with the last slash."""
    backslashes: bool
    """Backslashes in place of slashes."""


def spelling_advice(counterparts: Mapping[str, str], these: str, others: str) -> str:
    """Return what makes names match their counterparts, as a phrase; "" if they do not all differ in the same way.

    these, others: what the names and the counterparts are called in the phrase.
    """
    differences = {_difference(name, other) for name, other in counterparts.items()}
    if len(differences) != 1 or (difference := differences.pop()) is None:
        return ""
    changes = [*_undone(difference[0], these), *_undone(difference[1], others)]
    return " and ".join(changes)


def _undone(spelling: Spelling, whose: str) -> list[str]:
    removal = [f"{shown(spelling.prefix)} is removed from {whose}"] if spelling.prefix else []
    return [*removal, f"backslashes in {whose} become slashes"] if spelling.backslashes else removal


def _difference(name: str, other: str) -> tuple[Spelling, Spelling] | None:
    """Return what either name has and its counterpart lacks; None if they differ in other ways, too."""
    end = min(len(name), len(other))
    prefix, rest = name[:-end], name[-end:]
    other_prefix, other_rest = other[:-end], other[-end:]
    is_folder = f"/{prefix}{other_prefix}".endswith(("/", "\\"))
    if not is_folder or rest.replace("\\", "/") != other_rest.replace("\\", "/"):
        return None
    backslashes, others = "\\" in rest, "\\" in other_rest
    return Spelling(prefix, backslashes and not others), Spelling(other_prefix, others and not backslashes)
