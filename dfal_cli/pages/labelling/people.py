"""The people who have the page open: where they are, what they did, and how long it took them."""

import statistics
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from dfal_cli.pages.labelling.board import Change

AWAY_SECONDS = 8.0
"""A person whose page has not called for so long is not here any more."""

MAX_SECONDS = 60.0
"""Longer times for an answer count as this: the person was doing something else."""

RECENT = 10
"""Number of last answers that are shown."""


@dataclass
class Person:
    """A page that is or was open; one person may have several."""

    image: str = ""
    """The image being looked at."""
    seen: float = 0.0
    done: list[list[Change]] = field(default_factory=list)
    """What can be undone; changes made at once are undone at once."""


class People:
    """All who have the page open or had it open since the command began. Not thread-safe."""

    def __init__(self) -> None:
        self._people: dict[str, Person] = {}
        self._seconds: deque[float] = deque(maxlen=100)
        self._recent: deque[tuple[str, str]] = deque(maxlen=100 * RECENT)
        self.answered = Counter[str]()
        """Person -> number of answers given."""

    def here(self, person: str, image: str | None = None) -> Person:
        """Note that a person is here, looking at an image."""
        found = self._people.setdefault(person, Person())
        found.seen = time.monotonic()
        if image is not None:
            found.image = image
        return found

    def leave(self, person: str) -> None:
        """Note that a person has closed the page."""
        self.here(person).seen = 0.0

    def count(self) -> int:
        """Return how many people are here."""
        return len(self._present())

    def looked_at_by_others(self, person: str) -> set[str]:
        """Return the images that other people are looking at."""
        return {other.image for name, other in self._present().items() if name != person}

    def note(self, person: str, changes: list[Change], seconds: float | None) -> None:
        """Note the changes that a person made, and how long each answer took."""
        if not changes:
            return
        self.here(person).done.append(changes)
        self.answered[person] += sum(bool(change.after) for change in changes)
        self._recent.extend((change.image, person) for change in changes)
        if seconds is not None:
            each = min(seconds, MAX_SECONDS) / len(changes)
            self._seconds.extend([each] * min(len(changes), RECENT))

    def recent(self, is_answered: Callable[[str], bool]) -> dict[str, str]:
        """Return the last images that were answered and still are, newest first -> by whom."""
        last: dict[str, str] = {}
        for image, person in reversed(self._recent):
            if image not in last and is_answered(image):
                last[image] = person
            if len(last) == RECENT:
                break
        return last

    @property
    def seconds(self) -> float | None:
        """Median time for an answer in seconds; None as long as there are none."""
        return statistics.median(self._seconds) if self._seconds else None

    def _present(self) -> dict[str, Person]:
        since = time.monotonic() - AWAY_SECONDS
        return {name: person for name, person in self._people.items() if person.seen > since}
