"""A labelling session: what the people who answer a query list share, together or one after another.

Every answer says what the person saw before. If the list says something else by then, the answer is a conflict: it is
kept beside the list and shown, and overwrites nothing.
"""

import threading
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from dfal_cli.pages.labelling.board import Answer, Board, Refusal
from dfal_cli.pages.labelling.people import RECENT, People
from dfal_cli.schemas import SKIP
from dfal_cli.tables.answer_times import AnswerTimes
from dfal_cli.tables.class_keys import ClassKeys
from dfal_cli.tables.class_names import class_name_error, likely_typos, means_no_answer
from dfal_cli.tables.conflicts import Conflicts, Pair

MOST_CHANGES = 200
"""Number of changed rows up to which a page is told of the rows; with more, it starts afresh."""


class RefusedClassError(Exception):
    """A class name that cannot be used; the message says why."""


class Session:
    """What all pages share. Thread-safe: its methods wait for each other.

    Methods that read or write the list raise TryAgainError, DataError, UsageError or OSError if they cannot; nothing
    is written then. What they return is ready for JSON.
    """

    def __init__(self, name: str, board: Board, keys: ClassKeys, conflicts: Conflicts, times: AnswerTimes) -> None:
        self.name, self.board, self.people = name, board, People()
        self._keys, self._conflicts, self._times = keys, conflicts, times
        self._lock = threading.RLock()
        self.finished = threading.Event()
        """Set when a person has ended the session."""

    @property
    def classes(self) -> Sequence[str]:
        """The names of the classes, in the order of their keys."""
        return list(self._keys.in_order)

    @property
    def conflicts(self) -> dict[str, Pair]:
        """Image -> its answer in the list now, and the second one."""
        pairs = {image: Pair(self.board.label_of(image), pair.second) for image, pair in self._conflicts.pairs.items()}
        return {image: pair for image, pair in pairs.items() if self.board.row_of(image) is not None}

    def state(self, person: str) -> dict[str, Any]:
        """Return what a page needs to begin with."""
        with self._lock:
            start = next(self._queue(person, 0), 0)
            self.people.here(person, self.board.images[start])
            return {
                "name": self.name, "start": start, "guesses": bool(self.board.guesses), **self.progress(person),
            }  # fmt: skip

    def progress(self, person: str) -> dict[str, Any]:
        """Return what changes with every answer; `person` is told which answers others gave."""
        with self._lock:
            seconds, left, people = self.people.seconds, self.board.left, self.people.count()
            counts = self.board.counts
            return {
                "epoch": self.board.epoch,
                "revision": len(self.board.changed),
                "total": len(self.board.images),
                "left": left,
                "classes": [
                    {"name": name, "key": key, "count": counts[name]} for name, key in self._keys.in_order.items()
                ],
                "unusable": counts[SKIP],
                "seconds": seconds,
                "seconds_left": None if seconds is None else seconds * left / max(1, people),
                "people": people,
                "conflicts": [
                    {**self.board.row(self.board.row_of(image) or 0), **pair._asdict()}
                    for image, pair in self.conflicts.items()
                ],
                "recent": self._recent(person),
            }  # fmt: skip

    def leave(self, person: str) -> None:
        """Note that a person has closed the page, so that others are asked about the image."""
        with self._lock:
            self.people.leave(person)

    def rows(self, first: int, count: int) -> list[dict[str, Any]]:
        """Return rows of the list."""
        with self._lock:
            return [self.board.row(row) for row in range(max(first, 0), min(first + count, len(self.board.images)))]

    def queue(self, person: str, after: int, count: int) -> list[dict[str, Any]]:
        """Return the next unanswered rows after a row and then from the top; last those that others are looking at.

        The person is looking at the row, or, if it is answered, at the first of them.
        """
        with self._lock:
            rows = [self.board.row(row) for row in islice(self._queue(person, max(after + 1, 0)), count)]
            looked_at = [self.board.row(after)] if 0 <= after < len(self.board.images) else []
            for row in [each for each in looked_at if not each["label"]] or rows[:1]:
                self.people.here(person, row["image"])
            return rows

    def changes(self, person: str, image: str, epoch: int, revision: int) -> dict[str, Any]:
        """Return what has changed since a page was told; `person` is looking at `image`."""
        with self._lock:
            self.people.here(person, image)
            self.board.refresh()
            self._keys.add(sorted(self.board.answers))
            changed = self.board.changed[max(revision, 0) :]
            afresh = epoch != self.board.epoch or revision > len(self.board.changed) or len(changed) > MOST_CHANGES
            return {"afresh": afresh, "rows": [] if afresh else self.board.rows(changed), **self.progress(person)}

    def answer(self, person: str, answers: Sequence[Answer], seconds: float | None) -> dict[str, Any]:
        """Write answers. Return the rows, and the answers that were refused because others gave different ones."""
        with self._lock:
            changes, refused = self.board.write(answers, person)
            self.people.note(person, changes, seconds)
            if changes and seconds is not None:
                self._times.add(len(changes), seconds)
            self._settle(answers, refused)
            return self._told(answers, refused)

    def undo(self, person: str) -> dict[str, Any]:
        """Take back what a person did last; what was changed since by others stays. Returns the same as `answer`."""
        with self._lock:
            done = self.people.here(person).done
            answers = [Answer(each.image, each.before, each.after) for each in done[-1]] if done else []
            self.board.refresh()
            own = [answer for answer in answers if self.board.author.get(answer.image) == person]
            others = [Refusal(answer, self.board.label_of(answer.image)) for answer in answers if answer not in own]
            _, refused = self.board.write(own, person)
            if done:
                done.pop()
            return self._told(answers, [*refused, *others])

    def add_class(self, name: str) -> None:
        """Add a class. Raises RefusedClassError if the name cannot be used, or looks like a typing error."""
        with self._lock:
            known = self.classes
            if name in known:
                return
            problem = class_name_error([name]) or next(iter(likely_typos([name], [*known, name])), None)
            if problem is None and means_no_answer(name):
                problem = f"{name} usually means that there is no answer; skip the image, or mark it as unusable"
            if problem:
                raise RefusedClassError(problem)
            self._keys.add([name])

    def grid(self, predicted: str, count: int) -> dict[str, Any]:
        """Return unanswered rows that are probably of one class, the surest first, or "" for those of any class."""
        with self._lock:
            rows = self.board.probably(predicted)
            return {
                "rows": [self.board.row(row) for row in rows[:count]], "open": len(rows),
                "predicted": self.board.predicted_counts(),
            }  # fmt: skip

    def _queue(self, person: str, start: int) -> Iterator[int]:
        """Yield the unanswered rows from a row on and then from the top; last those that others are looking at."""
        looked_at = {self.board.row_of(image) for image in self.people.looked_at_by_others(person)}
        yield from (row for row in self.board.unanswered(start) if row not in looked_at)
        yield from (row for row in self.board.unanswered(start) if row in looked_at)

    def _settle(self, answers: Sequence[Answer], refused: Sequence[Refusal]) -> None:
        """Store new conflicts, and remove those that a person has settled, who saw the answer in the list."""
        for answer, now in refused:
            if answer.label and now:
                self._conflicts.add(answer.image, Pair(now, answer.label))
        conflicting = {refusal.answer.image for refusal in refused}
        for answer in answers:
            if answer.image not in conflicting and answer.label and answer.before:
                self._conflicts.settle(answer.image)

    def _told(self, answers: Sequence[Answer], refused: Sequence[Refusal]) -> dict[str, Any]:
        return {
            "rows": self.board.rows([answer.image for answer in answers]),
            "refused": [{**refusal.answer._asdict(), "now": refusal.now} for refusal in refused],
        }

    def _recent(self, person: str) -> list[dict[str, Any]]:
        """Return the last answers, newest first: those of this session, then those in the list."""
        recent = self.people.recent(lambda image: bool(self.board.label_of(image)))
        for row in islice(self.board.answered_above(self.board.first_unanswered()), RECENT - len(recent)):
            recent.setdefault(self.board.images[row], person)
        return [{**row, "others": recent[row["image"]] != person} for row in self.board.rows(list(recent))]
