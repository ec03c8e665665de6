"""How far work has come: never backwards, and at a rate that only this call's own work counts for."""

import itertools

import pytest

from dfal_cli.system import progress as module
from dfal_cli.system.progress import Progress, duration, rate_text


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What Progress measures time by."""
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.mark.parametrize(
    ("rate", "unit", "text"),
    [
        (1234.5, "images", "1,234 images/s"),
        (12.34, "images", "12.3 images/s"),
        (1.0, "epochs", "1.0 epochs/s"),
        (1 / 4.2, "epochs", "4.2 s per epoch"),
        (1 / 90, "images", "90.0 s per image"),
        (1 / 150, "rounds", "0:02:30 per round"),
    ],
)
def test_a_rate_below_one_per_second_is_shown_as_time_per_unit(rate: float, unit: str, text: str) -> None:
    assert rate_text(rate, unit) == text


def test_durations_are_shown_in_hours_minutes_and_seconds() -> None:
    assert [duration(seconds) for seconds in (0, 59.6, 3723)] == ["0:00:00", "0:01:00", "1:02:03"]


def test_the_text_shows_finished_units_rate_and_remaining_time(clock: Clock) -> None:
    progress = Progress("scoring", 100, "images")
    assert str(progress) == "0 of 100 images"
    clock.now += 5
    progress.advance(20)
    assert str(progress) == "20 of 100 images, 4.0 images/s, 0:00:20 left"
    clock.now += 8  # it counts down while nothing is finished
    assert str(progress) == "20 of 100 images, 4.0 images/s, 0:00:12 left"
    clock.now += 20  # and then nobody knows
    assert str(progress) == "20 of 100 images, 4.0 images/s"


def test_units_finished_before_or_skipped_do_not_raise_the_rate(clock: Clock) -> None:
    progress = Progress("training", 100, "epochs", done=50)
    progress.skip(20)
    clock.now += 10
    progress.advance(1)
    assert str(progress) == "71 of 100 epochs, 10.0 s per epoch, 0:04:50 left"
    assert progress.share == pytest.approx(0.71)


def test_a_share_of_the_current_unit_is_shown_and_counts_once(clock: Clock) -> None:
    progress = Progress("training", 4, "epochs")
    clock.now += 10
    progress.within(0.5)
    assert str(progress) == "0.5 of 4 epochs, 20.0 s per epoch, 0:01:10 left"
    assert progress.share == pytest.approx(0.125)
    clock.now += 10
    progress.advance(1)
    assert str(progress) == "1 of 4 epochs, 20.0 s per epoch, 0:01:00 left"
    assert progress.share == pytest.approx(0.25)


def test_work_of_unknown_total_is_shown_without_one(clock: Clock) -> None:
    progress = Progress("nearest", None, "images")
    clock.now += 2
    progress.advance(20)
    assert str(progress) == "20 images, 10.0 images/s"
    assert progress.share == 0


def test_items_are_counted_in_groups() -> None:
    progress = Progress("hashing", 40, "images")
    assert list(progress.over(range(40))) == list(range(40))
    assert progress.share == pytest.approx(0.8)


def test_uncountable_work_shows_its_duration(clock: Clock) -> None:
    progress = Progress("listing the images", None, "")
    clock.now += 90
    assert str(progress) == "0:01:30 so far"


def test_the_share_never_decreases_when_the_total_grows_and_ends_at_one() -> None:
    progress = Progress("nearest", None, "images")
    shares = []
    for more in (80, 60, 200, 20, 300, 10):
        progress.advance(10)
        progress.expect(more)
        shares.append(progress.share)
    progress.advance(10)
    assert all(before <= after for before, after in itertools.pairwise(shares))
    assert shares[-1] < progress.share == pytest.approx(1)


def test_the_current_unit_is_described_when_the_text_is_made(clock: Clock) -> None:
    in_hand = "dfal, trial 1, round 0"
    progress = Progress("simulating", 8, "rounds", now=lambda: in_hand)
    assert str(progress) == "0 of 8 rounds; now dfal, trial 1, round 0"
    in_hand = "random, trial 1, round 0"
    assert str(progress) == "0 of 8 rounds; now random, trial 1, round 0"
