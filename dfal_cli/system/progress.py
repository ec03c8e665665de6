"""How far a piece of work has come: how it is counted, and how it is told."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from dfal_cli.system import signals

SHORT = 100.0
"""Seconds a unit takes that are told as seconds; longer ones are told as hours, minutes and seconds."""


AT_ONCE = 16
"""Items that `over` counts at a time: counting takes longer than some of them do."""

Item = TypeVar("Item")


def nothing() -> str:
    """Tell nothing."""
    return ""


class Progress:
    """Work in hand, counted in units. A step calls `advance` for each finished one; whoever shows it reads the rest."""

    def __init__(
        self, what: str, total: int | None, unit: str, done: int = 0, now: Callable[[], str] = nothing
    ) -> None:
        """total: units in all, None while nobody knows. unit: its plural. done: units that were there before.

        now: what is being worked on at the moment, for units that take long.
        """
        self.what = what
        self.total = total
        self.share = done / total if total else 0.0
        """Of the work, from 0 to 1. It never falls: where the total grows, it goes on more slowly."""
        self.on_change: Callable[[], None] = lambda: None
        self._unit = unit
        self._now = now
        self._done = done
        self._before = done
        self._within = 0.0
        self._started = self._moved = time.monotonic()

    def advance(self, count: int) -> None:
        """So many further units are finished, and kept. Raises Interrupted if a signal asks the command to end."""
        self._move(self._done + count, 0.0)
        signals.check()

    def over(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items, of which each is a finished unit when the next one is asked for."""
        for number, item in enumerate(items, 1):
            yield item
            if number % AT_ONCE == 0:
                self.advance(AT_ONCE)

    def within(self, share: float) -> None:
        """So much of the unit in hand is done. A signal waits until all of it is."""
        self._move(self._done, share)

    def skip(self, count: int) -> None:
        """So many further units need no work: they were there before, or are not wanted after all."""
        self._before += count
        self._move(self._done + count, 0.0)

    def expect(self, more: int) -> None:
        """So many units are still to come, as far as is known by now."""
        self.total = self._done + more
        self.on_change()

    def __str__(self) -> str:
        """How many are done, at which rate, and how long the others will take."""
        if self.total is None and not self._done:
            return f"{duration(time.monotonic() - self._started)} so far"
        done = f"{self._place:.1f}" if self._within else str(self._done)
        parts = [f"{done} {self._unit}" if self.total is None else f"{done} of {self.total} {self._unit}"]
        rate = self._rate()
        if rate:
            parts.append(rate_text(rate, self._unit))
            left = self._left(rate)
            if left >= 1:
                parts.append(f"{duration(left)} left")
        now = self._now()
        return ", ".join(parts) + (f"; now {now}" if now else "")

    @property
    def _place(self) -> float:
        return self._done + self._within

    def _move(self, done: int, within: float) -> None:
        before = self._place
        self._done, self._within, self._moved = done, within, time.monotonic()
        if self.total is not None:
            left = self.total - before
            gone = min(1.0, (self._place - before) / left) if left > 0 else 1.0
            self.share += (1 - self.share) * max(0.0, gone)
        self.on_change()

    def _rate(self) -> float:
        """Units a second by the last move; what was there before has taken no time."""
        return (self._place - self._before) / max(1e-9, self._moved - self._started)

    def _left(self, rate: float) -> float:
        """Seconds, counted down between moves; 0 where that is not known, or took longer than it should."""
        if self.total is None:
            return 0.0
        return (self.total - self._place) / rate - (time.monotonic() - self._moved)


def rate_text(rate: float, unit: str) -> str:
    """A number of units a second (their plural), or how long one takes if that is more than a second."""
    if rate >= 1:
        return f"{rate:,.0f} {unit}/s" if rate >= 100 else f"{rate:.1f} {unit}/s"
    one = unit.removesuffix("s")
    seconds = 1 / rate
    taken = f"{seconds:.1f} s" if seconds < SHORT else duration(seconds)
    return f"{taken} {'an' if one[0] in 'aeiou' else 'a'} {one}"


def duration(seconds: float) -> str:
    """Hours, minutes and seconds: 1:02:03."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
