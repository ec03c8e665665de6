"""Progress of a piece of work: counting units, and rate and remaining time as text."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from dfal_cli.system import signals

MAX_PLAIN_SECONDS = 100.0
"""The time of a unit is printed in seconds up to this limit, and as hours, minutes and seconds above."""

ITEMS_PER_UPDATE = 16
"""Number of items that `over` counts at a time, as counting takes longer than some items."""

Item = TypeVar("Item")


def no_detail() -> str:
    """Return "": no detail about the current unit."""
    return ""


class Progress:
    """Counts finished units of work. A step calls `advance`; a reporter reads the other attributes."""

    def __init__(
        self, what: str, total: int | None, unit: str, done: int = 0, now: Callable[[], str] = no_detail
    ) -> None:
        """Start counting.

        total: number of units; None if unknown. unit: its name in the plural. done: units finished by earlier calls.
        now: returns a description of the current unit, for units that take long.
        """
        self.what = what
        self.total = total
        self.share = done / total if total else 0.0
        """The finished share of the work, from 0 to 1. It never decreases, even if the total grows."""
        self.on_change: Callable[[], None] = lambda: None
        self._unit = unit
        self._now = now
        self._done = done
        self._before = done
        self._within = 0.0
        self._started = self._moved = time.monotonic()

    def advance(self, count: int) -> None:
        """Count units that are finished and saved. Raises Interrupted if a signal asks the command to end."""
        self._move(self._done + count, 0.0)
        signals.check()

    def over(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items and count each as a finished unit when the next one is requested."""
        for number, item in enumerate(items, 1):
            yield item
            if number % ITEMS_PER_UPDATE == 0:
                self.advance(ITEMS_PER_UPDATE)

    def within(self, share: float) -> None:
        """Set the finished share of the current unit. A signal does not interrupt a unit."""
        self._move(self._done, share)

    def skip(self, count: int) -> None:
        """Count units that need no work, because they were finished earlier or are not needed."""
        self._before += count
        self._move(self._done + count, 0.0)

    def expect(self, more: int) -> None:
        """Set the number of remaining units as far as it is known."""
        self.total = self._done + more
        self.on_change()

    def __str__(self) -> str:
        """Return the number of finished units, the rate, and the remaining time."""
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
        """Units per second up to the last move, without units finished by earlier calls."""
        return (self._place - self._before) / max(1e-9, self._moved - self._started)

    def _left(self, rate: float) -> float:
        """Remaining seconds, counted down between moves; 0 or less if unknown or overdue."""
        if self.total is None:
            return 0.0
        return (self.total - self._place) / rate - (time.monotonic() - self._moved)


def rate_text(rate: float, unit: str) -> str:
    """Return units per second (`unit` is the plural), or the time per unit if it is more than a second."""
    if rate >= 1:
        return f"{rate:,.0f} {unit}/s" if rate >= 100 else f"{rate:.1f} {unit}/s"
    one = unit.removesuffix("s")
    seconds = 1 / rate
    time_per_unit = f"{seconds:.1f} s" if seconds < MAX_PLAIN_SECONDS else duration(seconds)
    return f"{time_per_unit} per {one}"


def duration(seconds: float) -> str:
    """Return hours, minutes and seconds: 1:02:03."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
