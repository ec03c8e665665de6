"""What a class may be called, and which name of one looks like a slip in another."""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from dfal_cli.errors import MOST_LISTED, shown
from dfal_cli.schemas import SKIP

NEAR, VERY_NEAR = 0.6, 0.85
"""How alike (difflib's ratio) a new class and a known one must be for a hint; two new ones, to be worth a warning."""

MOST_COMPARED, LONGEST_COMPARED = 200, 100
"""Names, and characters of one, that are compared letter by letter: that takes their product in time."""

NO_ANSWER = frozenset(
    {
        "?", "??", "???", "-", "--", "---", ".", "..", "...", "n/a", "n.a.", "na", "na?", "#n/a", "nan", "nil", "null",
        "none", "unknown", "unsure", "not sure", "undefined", "don't know", "idk", "no idea", "skip", "skipped", "tbd",
        "todo",
    }
)  # fmt: skip
"""What people write, in whatever case, where they have no answer. Any of them may be a class, but seldom is."""

THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?", re.ASCII)
"""Not 0,500: that is a decimal comma."""
NUMBER = re.compile(r"([+-]?)(\d+)(?:[.,](\d*))?", re.ASCII)


def class_name_error(classes: Sequence[str]) -> str | None:
    """Why one of these names is none for a class; None if all will do."""
    for name in classes:
        if not name.strip():
            return f"a class is called {shown(name)}, and a blank label means that there is none yet"
        if name == SKIP:
            return f"a class is called {SKIP}, which as a label means that the image is left out"
        if "\0" in name or not _is_unicode(name):
            return f"a class is called {shown(name)}, which no table can hold"
    if len(set(classes)) < len(classes):
        return f"two classes are called {shown(next(name for name in classes if classes.count(name) > 1))}"
    return None


def folded(label: str) -> str:
    """What is left of a label without what slips differ in: case, blanks, forms of letters, spellings of a number."""
    plain = " ".join(unicodedata.normalize("NFKC", label).split()).casefold()
    number = NUMBER.fullmatch(plain.replace(",", "") if THOUSANDS.fullmatch(plain) else plain)
    if number is None:
        return plain
    sign, whole, part = number[1], number[2].lstrip("0") or "0", (number[3] or "").rstrip("0")
    return f"{sign.strip('+')}{whole}{f'.{part}' if part else ''}"


def is_misspelt_skip(label: str) -> bool:
    """Whether a label is `__skip__` misspelt."""
    return label != SKIP and folded(label).strip("_- ") == SKIP.strip("_") and "_" in label


def means_no_answer(label: str) -> bool:
    """Whether most people who write this label mean that they have no answer."""
    return folded(label) in NO_ANSWER


def did_you_mean(label: str, classes: Iterable[str]) -> str:
    """A question after the class that a new one may have been meant to be, as the end of a sentence; "" if none is."""
    near = _nearest(label, sorted(set(classes)), NEAR)
    return f"; did you mean {shown(near)}?" if near else ""


def likely_typos(new: Iterable[str], classes: Iterable[str]) -> list[str]:
    """In words, the first of the new classes that one of `classes` may have been meant by; in linear time."""
    alike = _groups(classes)
    said = set()

    def told() -> Iterator[str]:
        for label in new:
            other = next((name for name in alike.get(folded(label), ()) if name != label and name not in said), None)
            said.add(label)
            if is_misspelt_skip(label):
                yield f"class {shown(label)}; did you mean {SKIP!r}? It is spelt exactly so"
            elif other is not None:
                difference = spelling_difference(label, other)
                yield f"class {shown(label)} that differs from {shown(other)} only in {difference}"

    return list(islice(told(), MOST_LISTED))


def unusual_class_warnings(classes: Iterable[str]) -> list[str]:
    """In words, the first of the classes that are no slip for another, and yet may not have been meant as they are."""

    def told() -> Iterator[str]:
        for label, *others in _groups(classes).values():
            if means_no_answer(label):
                yield f"class {shown(label)} mostly says that there is no answer; it is trained as a class"
            elif label != label.strip() and not others:
                yield f"class {shown(label)} has blanks around it; they are taken for a part of its name"

    return list(islice(told(), MOST_LISTED))


def class_name_warnings(classes: Sequence[str]) -> list[str]:
    """In words, what to say of the classes to train on, if nobody has named them as such."""
    return [
        *(f"{slip}; they are trained as two classes" for slip in likely_typos(classes, classes)),
        *unusual_class_warnings(classes),
    ]


def _groups(classes: Iterable[str]) -> dict[str, list[str]]:
    """The classes, sorted, by what they are when `folded`."""
    groups: dict[str, list[str]] = {}
    for name in sorted(set(classes)):
        groups.setdefault(folded(name), []).append(name)
    return groups


def similar_class_pairs(new: Sequence[str], classes: Iterable[str]) -> list[tuple[str, str]]:
    """The first new classes that are another one but for a letter or two, with that; each pair once.

    None if there are too many to tell.
    """
    names = sorted({*classes, *new})
    pairs: dict[frozenset[str], tuple[str, str]] = {}
    for label in new if len(names) <= MOST_COMPARED else ():
        if near := _nearest(label, names, VERY_NEAR):
            pairs.setdefault(frozenset((label, near)), (label, near))
    return list(pairs.values())[:MOST_LISTED]


def spelling_difference(label: str, other: str) -> str:
    """What alone makes two labels differ that are equal when `folded`."""
    if NUMBER.fullmatch(folded(label)):
        return "how the number is written"
    if label.split() == other.split() or "".join(label.split()) == "".join(other.split()):
        return "blanks"
    if label.strip().casefold() == other.strip().casefold():
        return "upper and lower case"
    return "how its letters are encoded, their case or blanks"


def _nearest(label: str, others: Sequence[str], likeness: float) -> str:
    if len(others) > MOST_COMPARED or len(label) > LONGEST_COMPARED:
        return ""
    comparable = [other for other in others if len(other) <= LONGEST_COMPARED and other != label]
    return next(iter(difflib.get_close_matches(label, comparable, n=1, cutoff=likeness)), "")


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
