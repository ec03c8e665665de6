"""What to do after a simulation: use a strategy, run more trials, or stop comparing."""

from collections.abc import Sequence
from typing import NamedTuple

from dfal_cli.errors import plural
from dfal_cli.statistics.intervals import MIN_TRIALS_TO_RESAMPLE, Values, trials_needed

ENOUGH_TRIALS = 6
"""With fewer trials, intervals are wide."""

MOST_FURTHER_TRIALS = 50
"""A difference that needs more further trials than this is too small to matter."""

DURATIONS = ((86_400, "day"), (3600, "hour"), (60, "minute"))
"""Seconds in a unit of time, the longest unit first."""


class Compared(NamedTuple):
    """A strategy compared with the baseline."""

    strategy: str
    gain: str
    """The comparison in words, as "it needs ×0.60 of random's labels"."""
    evidence: str
    """Where it was measured, and its interval, as "for 90 % accuracy: 60 in place of 100 (0.55 to 0.65)"."""
    gains: Values
    """The gain over the baseline in each trial; above 0 is better."""
    mark: str
    """"better" or "worse" if it differs clearly from the baseline, else ""."""


class Cost(NamedTuple):
    """How long trials take."""

    trials: int
    """Number of finished trials."""
    seconds: float
    """Seconds of computing for a trial of all strategies."""
    parallel: int
    """Number of runs that are computed at the same time."""


class Advice(NamedTuple):
    """What to do, and why."""

    headline: str
    reasons: list[str]
    is_clear: bool


def advice(compared: Sequence[Compared], baseline: str, cost: Cost) -> Advice | None:
    """Return what to do; None if nothing is compared. compared: the other strategies, the best first."""
    if not compared:
        return None
    if cost.trials < MIN_TRIALS_TO_RESAMPLE:
        return _more_trials(ENOUGH_TRIALS - cost.trials, cost, "So few trials cannot tell strategies apart.")
    winner = next((each for each in compared if each.mark == "better"), None)
    if winner:
        return Advice(f"Use {winner.strategy}: {winner.gain}.", [f"This is {winner.evidence}."], True)
    if all(each.mark == "worse" for each in compared):
        return Advice(f"Use {baseline}: it is clearly better than the others.", [], True)
    return _undecided(compared, baseline, cost)


def _undecided(compared: Sequence[Compared], baseline: str, cost: Cost) -> Advice:
    leader = next(each for each in compared if each.mark != "worse")
    reason = f"The best of the others is {leader.strategy}: {leader.gain} {leader.evidence}."
    if leader.gains.mean() <= 0:
        return Advice(f"Use {baseline}: none of the others did better in these trials.", [reason], False)
    needed = trials_needed(leader.gains)
    if needed is not None and needed <= cost.trials:
        remedy = "More trials would not help: use more test images, or a larger --budget."
        return Advice("Undecided: the difference is too small for these test images.", [reason, remedy], False)
    if needed is None or needed - cost.trials > MOST_FURTHER_TRIALS:
        more = f"About {needed - cost.trials:,}" if needed else "Far more than a thousand"
        return Advice(
            f"{leader.strategy} or {baseline}, as you like: they hardly differ.",
            [reason, f"{more} more trials would be needed to tell them apart."], False,
        )  # fmt: skip
    return _more_trials(needed - cost.trials, cost, reason)


def _more_trials(more: int, cost: Cost, reason: str) -> Advice:
    seconds = more * cost.seconds / cost.parallel
    return Advice(
        f"Undecided: {more} more {plural(more, 'trial')}, {duration(seconds)} here.",
        [reason, f"Run the same command with --trials {cost.trials + more}; finished trials are kept."], False,
    )  # fmt: skip


def duration(seconds: float) -> str:
    """Return a duration in words, as "about 9 minutes"."""
    for length, unit in DURATIONS:
        count = round(seconds / length)
        if count > 1 or (count and unit == DURATIONS[-1][1]):
            return f"about {count} {plural(count, unit)}"
    return "less than a minute"
