"""What a class may be called, and which name of one looks like a slip in another."""

import difflib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from dfal_cli.errors import MOST_LISTED, shown
from dfal_cli.schemas import SKIP

NEAR, VERY_NEAR = 0.6, 0.85
"""How alike (difflib's ratio) a new class and a known one must be for a hint; two new ones, to be worth a warning."""

MOST_COMPARED, LONGEST_COMPARED = 200, 100
"""Names, and characters of one, that are compared letter by letter: that takes their product in time."""


def unfit_class(classes: Sequence[str]) -> str | None:
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
    """What is left of a label without case, without blanks of any kind around it, and with plain ones inside."""
    return " ".join(unicodedata.normalize("NFKC", label).split()).casefold()


def is_meant_to_be_skip(label: str) -> bool:
    """Whether a label is `__skip__` misspelt."""
    return label != SKIP and folded(label).strip("_- ") == SKIP.strip("_") and "_" in label


def near_miss(label: str, classes: Iterable[str], likeness: float) -> str:
    """How the label differs from a class that it may have been meant to be; "" if there is none."""
    others = sorted(set(classes) - {label})
    for other in others:
        if folded(label) == folded(other):
            return f" that differs from {shown(other)} only in {_what_differs(label, other)}"
    return _nearly(label, others, likeness)


def slips(new: Iterable[str], classes: Iterable[str], likeness: float | None = None) -> list[str]:
    """In words, the first of the new classes that one of `classes` may have been meant by; in linear time.

    likeness: also those that are so alike letter by letter, if they are few enough to tell.
    """
    known = sorted(set(classes))
    alike: dict[str, list[str]] = {}
    for name in known:
        alike.setdefault(folded(name), []).append(name)

    said = set()

    def told() -> Iterator[str]:
        for label in new:
            other = next((name for name in alike.get(folded(label), ()) if name != label and name not in said), None)
            said.add(label)
            if is_meant_to_be_skip(label):
                yield f"class {shown(label)}; did you mean {SKIP!r}? It is spelt exactly so"
            elif other is not None:
                yield f"class {shown(label)} that differs from {shown(other)} only in {_what_differs(label, other)}"
            elif likeness is not None and (near := _nearly(label, known, likeness)):
                yield f"class {shown(label)}{near}"

    return list(islice(told(), MOST_LISTED))


def _nearly(label: str, others: Sequence[str], likeness: float) -> str:
    if len(others) > MOST_COMPARED or len(label) > LONGEST_COMPARED:
        return ""
    comparable = [other for other in others if len(other) <= LONGEST_COMPARED and other != label]
    near = difflib.get_close_matches(label, comparable, n=1, cutoff=likeness)
    return f"; did you mean {shown(near[0])}?" if near else ""


def _what_differs(label: str, other: str) -> str:
    if label.split() == other.split() or "".join(label.split()) == "".join(other.split()):
        return "blanks"
    if label.strip().casefold() == other.strip().casefold():
        return "upper and lower case"
    return "how its letters are encoded, their case or blanks"


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
