"""Checks of class names: names that are not allowed, and names that look like typos of another one."""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from dfal_cli.errors import MAX_LISTED, UsageError, shown
from dfal_cli.schemas import SKIP

SIMILAR, VERY_SIMILAR = 0.6, 0.85
"""difflib ratios: above the first, a hint names the known class; above the second, two new classes get a warning."""

MAX_COMPARED, MAX_COMPARED_LENGTH = 200, 100
"""Limits of the comparison letter by letter, whose cost is the product of the number and the length of the names."""

NO_ANSWER = frozenset(
    {
        "?", "??", "???", "-", "--", "---", ".", "..", "...", "n/a", "n.a.", "na", "na?", "#n/a", "nan", "nil", "null",
        "none", "unknown", "unsure", "not sure", "undefined", "don't know", "idk", "no idea", "skip", "skipped", "tbd",
        "todo",
    }
)  # fmt: skip
"""Normalised labels that usually mean "no answer". Any of them may be a real class, but rarely is."""

THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?", re.ASCII)
"""A number with thousands separators. 0,500 is not one: its comma is a decimal comma."""
NUMBER = re.compile(r"([+-]?)(\d+)(?:[.,](\d*))?", re.ASCII)


def class_name_error(classes: Sequence[str]) -> str | None:
    """Say why these names cannot be the classes; None if they can."""
    for name in classes:
        if not name.strip():
            return f"a class is called {shown(name)}, but a blank label means that an image is not labelled yet"
        if name == SKIP:
            return f"a class is called {SKIP}, but that label excludes an image from training"
        if "\0" in name or not _is_unicode(name):
            return f"a class is called {shown(name)}, which no table can hold"
    if len(set(classes)) < len(classes):
        return f"two classes are called {shown(next(name for name in classes if classes.count(name) > 1))}"
    return None


def check_class_names(given: Sequence[str] | None) -> None:
    """Raise UsageError if the names in --class-names cannot be the classes. A name may be given twice."""
    problem = class_name_error(tuple(dict.fromkeys(given or ())))
    if problem is not None:
        raise UsageError(f"--class-names: {problem}")


def normalised(label: str) -> str:
    """Return the label without differences that are often typos: case, whitespace, Unicode form, form of numbers."""
    plain = " ".join(unicodedata.normalize("NFKC", label).split()).casefold()
    number = NUMBER.fullmatch(plain.replace(",", "") if THOUSANDS.fullmatch(plain) else plain)
    if number is None:
        return plain
    sign, whole, part = number[1], number[2].lstrip("0") or "0", (number[3] or "").rstrip("0")
    return f"{sign.strip('+')}{whole}{f'.{part}' if part else ''}"


def is_misspelt_skip(label: str) -> bool:
    """Return whether the label is a misspelling of `__skip__`."""
    return label != SKIP and normalised(label).strip("_- ") == SKIP.strip("_") and "_" in label


def means_no_answer(label: str) -> bool:
    """Return whether the label usually means that there is no answer."""
    return normalised(label) in NO_ANSWER


def did_you_mean(label: str, classes: Iterable[str]) -> str:
    """Return "; did you mean CLASS?" for the most similar class, or "" if none is similar."""
    similar = _most_similar(label, sorted(set(classes)), SIMILAR)
    return f"; did you mean {shown(similar)}?" if similar else ""


def likely_typos(new: Iterable[str], classes: Iterable[str]) -> list[str]:
    """Describe the first new classes that are probably typos of one in `classes`; takes linear time."""
    groups = _by_normalised_name(classes)
    seen = set()

    def found() -> Iterator[str]:
        for label in new:
            candidates = groups.get(normalised(label), ())
            other = next((name for name in candidates if name != label and name not in seen), None)
            seen.add(label)
            if is_misspelt_skip(label):
                yield f"class {shown(label)}; did you mean {SKIP!r}? It must be spelled exactly like that"
            elif other is not None:
                difference = spelling_difference(label, other)
                yield f"class {shown(label)} differs from {shown(other)} only in {difference}"

    return list(islice(found(), MAX_LISTED))


def unusual_class_warnings(classes: Iterable[str]) -> list[str]:
    """Describe the first classes that resemble no other class, but may be mistakes all the same."""

    def found() -> Iterator[str]:
        for label, *others in _by_normalised_name(classes).values():
            if means_no_answer(label):
                yield f"class {shown(label)} usually means that there is no answer; it is trained as a class"
            elif label != label.strip() and not others:
                yield f"class {shown(label)} has leading or trailing whitespace; they are part of its name"

    return list(islice(found(), MAX_LISTED))


def class_name_warnings(classes: Sequence[str]) -> list[str]:
    """Return all warnings about classes that were read from labels and not named explicitly by the user."""
    typos = [f"{typo}; they are trained as two classes" for typo in likely_typos(classes, classes)]
    return [*typos, *unusual_class_warnings(classes)]


def _by_normalised_name(classes: Iterable[str]) -> dict[str, list[str]]:
    """Group the sorted classes by their normalised name."""
    groups: dict[str, list[str]] = {}
    for name in sorted(set(classes)):
        groups.setdefault(normalised(name), []).append(name)
    return groups


def similar_class_pairs(new: Sequence[str], classes: Iterable[str]) -> list[tuple[str, str]]:
    """Return the first pairs (new class, other class) that differ in a letter or two; each pair once.

    Returns no pairs if there are more than MAX_COMPARED names.
    """
    names = sorted({*classes, *new})
    pairs: dict[frozenset[str], tuple[str, str]] = {}
    for label in new if len(names) <= MAX_COMPARED else ():
        if similar := _most_similar(label, names, VERY_SIMILAR):
            pairs.setdefault(frozenset((label, similar)), (label, similar))
    return list(pairs.values())[:MAX_LISTED]


def spelling_difference(label: str, other: str) -> str:
    """Describe the only difference between two labels whose normalised names are equal."""
    if NUMBER.fullmatch(normalised(label)):
        return "how the number is written"
    if label.split() == other.split() or "".join(label.split()) == "".join(other.split()):
        return "whitespace"
    if label.strip().casefold() == other.strip().casefold():
        return "upper and lower case"
    return "how its letters are encoded, their case or whitespace"


def _most_similar(label: str, others: Sequence[str], min_ratio: float) -> str:
    if len(others) > MAX_COMPARED or len(label) > MAX_COMPARED_LENGTH:
        return ""
    comparable = [other for other in others if len(other) <= MAX_COMPARED_LENGTH and other != label]
    return next(iter(difflib.get_close_matches(label, comparable, n=1, cutoff=min_ratio)), "")


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
