"""The rows of a query list with what the page needs to know about them: what is open, what is counted, what changed."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from dfal_cli.schemas import SKIP
from dfal_cli.tables.guesses import Guess
from dfal_cli.tables.query_answers import QueryAnswers


class Answer(NamedTuple):
    """An answer that a person gives."""

    image: str
    label: str
    before: str
    """The answer that the person saw."""


class Change(NamedTuple):
    """A change of the answer of one image."""

    image: str
    before: str
    after: str


class Refusal(NamedTuple):
    """An answer that was not written because the list says something else than the person saw."""

    answer: Answer
    now: str | None
    """The answer in the list; None if the list does not ask about the image any more."""


class Board:
    """The rows of a query list. Not thread-safe."""

    def __init__(self, queries: QueryAnswers, guesses: Mapping[str, Guess]) -> None:
        """`guesses` replace the predictions in the list, unless there are none."""
        self._queries, self._given_guesses = queries, guesses
        self.epoch = 0
        """Changes when the images of the list or their order do."""
        self.changed: list[str] = []
        """Images in the order of the changes of their answers."""
        self.author: dict[str, str] = {}
        """Image -> the only person who gave the answer in the list; nobody if others or a program agreed."""
        self._count()

    @property
    def images(self) -> Sequence[str]:
        """The images of the list."""
        return self._queries.images

    @property
    def left(self) -> int:
        """The number of unanswered rows."""
        return self._answered.count(0)

    @property
    def guesses(self) -> Mapping[str, Guess]:
        """Image -> its prediction."""
        return self._given_guesses or self._queries.guesses

    def row_of(self, image: str) -> int | None:
        """Return the row of an image; None if the list does not ask about it."""
        return self._queries.row_of.get(image)

    def label_of(self, image: str) -> str:
        """Return the answer of an image, "" if there is none."""
        row = self.row_of(image)
        return "" if row is None else self._queries.labels[row]

    def row(self, row: int) -> dict[str, Any]:
        """Return a row, ready for JSON."""
        image = self._queries.images[row]
        guess = self.guesses.get(image)
        return {
            "row": row, "image": image, "label": self._queries.labels[row],
            "labelled": self._queries.labelled.get(image, ""),
            "guess": guess and [guess.predicted, round(guess.confidence, 3)],
        }  # fmt: skip

    def rows(self, images: Sequence[str]) -> list[dict[str, Any]]:
        """Return the rows of some images, ready for JSON."""
        return [self.row(row) for row in map(self.row_of, dict.fromkeys(images)) if row is not None]

    def first_unanswered(self) -> int:
        """Return the first unanswered row, or the number of rows if all are answered."""
        first = self._answered.find(0)
        return first if first >= 0 else len(self._answered)

    def unanswered(self, start: int) -> Iterator[int]:
        """Yield the unanswered rows from a row on, and then those above it."""
        for first, end in ((start, len(self._answered)), (0, start)):
            row = self._answered.find(0, first, end)
            while row >= 0:
                yield row
                row = self._answered.find(0, row + 1, end)

    def answered_above(self, end: int) -> Iterator[int]:
        """Yield the answered rows above a row, from bottom to top."""
        while (end := self._answered.rfind(1, 0, end)) >= 0:
            yield end

    def probably(self, predicted: str) -> list[int]:
        """Return the unanswered rows that are predicted to be of a class, the surest first; "" stands for any class."""
        rows = list(self.unanswered(0))
        if not predicted:
            return rows
        guesses = {row: self.guesses.get(self.images[row]) for row in rows}
        probable = {row: guess.confidence for row, guess in guesses.items() if guess and guess.predicted == predicted}
        return sorted(probable, key=lambda row: -probable[row])

    def predicted_counts(self) -> Counter[str]:
        """Return predicted class -> number of unanswered rows."""
        guesses = (self.guesses.get(self.images[row]) for row in self.unanswered(0))
        return Counter(guess.predicted for guess in guesses if guess)

    def write(self, answers: Sequence[Answer], person: str) -> tuple[list[Change], list[Refusal]]:
        """Write the answers of a person that fit what the list says, and refuse the others.

        When this returns, the answers are on disk.

        Raises TryAgainError, DataError, UsageError or OSError; nothing is written then.
        """
        changes: dict[int, Change] = {}
        refused: list[Refusal] = []
        with self._editing():
            for each in answers:
                row = self.row_of(each.image)
                now = None if row is None else self._queries.labels[row]
                if row is None or now is None or now not in (each.before, each.label):
                    refused.append(Refusal(each, now))
                elif now != each.label:
                    changes[row] = Change(each.image, now, each.label)
                elif self.author.get(each.image) != person:
                    self.author.pop(each.image, None)
            if changes:
                self._queries.write({row: change.after for row, change in changes.items()})
        for row, change in changes.items():
            self.counts.subtract([change.before])
            self.counts.update([change.after])
            self._answered[row] = bool(change.after)
            self.changed.append(change.image)
            self.author[change.image] = person
        return list(changes.values()), refused

    def refresh(self) -> None:
        """Read the list again if another program has changed it. Raises the errors of reading it."""
        images, labels = self._queries.images, self._queries.labels
        if self._queries.refresh():
            self._compare(images, labels)

    @contextlib.contextmanager
    def _editing(self) -> Iterator[None]:
        images, labels = self._queries.images, self._queries.labels
        with self._queries.editing() as was_rewritten:
            if was_rewritten:
                self._compare(images, labels)
            yield

    def _compare(self, images: list[str], labels: list[str]) -> None:
        """Find out what another program changed; `images` and `labels` are those before."""
        if images != self._queries.images:
            self.epoch += 1
        before = dict(zip(images, labels, strict=True))
        now = zip(self._queries.images, self._queries.labels, strict=True)
        changed = [image for image, label in now if before.get(image, "") != label]
        self.changed += changed
        for image in changed:
            self.author.pop(image, None)
        self._count()

    def _count(self) -> None:
        labels = self._queries.labels
        self._answered = bytearray(bool(label) for label in labels)
        self.counts = Counter(labels)
        """Answer -> number of images; "" stands for unanswered ones."""

    @property
    def answers(self) -> set[str]:
        """The classes that some answer names."""
        return {label for label, count in self.counts.items() if count > 0} - {"", SKIP}
