"""The tables of a simulation's report: the numbers of `comparison`, as people read them."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from dfal_cli.statistics import annotations, comparison
from dfal_cli.statistics.annotations import Needed, Ratio, Reached
from dfal_cli.statistics.intervals import Interval, Values

COUNTS_SHOWN = 6
"""Annotation counts in the table of differences: more do not fit on a page."""

UNKNOWN = "–"
TO = "\xa0to\xa0"
"""Between the ends of an interval: no line ends there."""

BOUNDS = {"": "", "at most": "≤\xa0", "at least": "≥\xa0"}

DIGITS = 2
MOST_DIGITS = 6
"""Of an end that two digits would round to equality, which it is not."""


class Cell(NamedTuple):
    """A number, and below it what is known of it."""

    text: str
    details: tuple[str, ...] = ()
    mark: str = ""
    """"better" or "worse" than the baseline's where the interval says so."""


class Row(NamedTuple):
    """What a table says of a strategy."""

    strategy: str
    cells: list[Cell]


class Table(NamedTuple):
    """A table of the page."""

    title: str
    note: str
    columns: list[str]
    rows: list[Row]


def report_tables(results: pd.DataFrame, timings: pd.DataFrame, step: float) -> list[Table]:
    """All tables that have something to show, the strategies in the order of their accuracy at the end.

    step: of the grid on which the accuracies lie.
    """
    baseline, ranked = comparison.baseline_of(results), comparison.ranked_strategies(results)
    tables = [
        _needed_table(results, ranked, baseline, step),
        _differences_table(results, ranked, baseline, step),
        _curve_table(results, ranked, baseline, step),
        _seconds_table(timings, ranked),
    ]
    return [table for table in tables if table.columns and table.rows]


def percent(share: float, digits: int = 1) -> str:
    """An accuracy as people say it: 0.925 is 92.5 %, and 0.95 is 95 %."""
    return f"{round(100 * share, digits):g} %"


def needed_cell(reached: Reached, strategy: str, baseline: str) -> Cell:
    """Annotations needed: the mean, its interval or how many trials got there, and the ratio to the baseline's."""
    needed = annotations.needed(reached, strategy)
    details = [_ends((needed.low, needed.high), whole)]
    if needed.reached < needed.trials:
        details = [f"in {needed.reached or 'any'} of {needed.trials} trials"]
    ratio = annotations.ratio(reached, strategy, baseline)
    if strategy != baseline:
        details.append(ratio_text(ratio))
    text = needed_text(needed) if needed.reached else "not reached"
    return Cell(text, tuple(filter(None, details)), ratio_mark(ratio))


def ratio_mark(ratio: Ratio) -> str:
    """What a ratio says: fewer annotations are better."""
    return _mark(ratio.clear, ratio.mean < 1)


def needed_text(needed: Needed) -> str:
    """The annotations needed, or a lower bound of them."""
    return f"{'> ' if needed.reached < needed.trials else ''}{whole(needed.mean)}"


def ratio_text(ratio: Ratio) -> str:
    """A ratio with its interval, "" if it is unknown."""
    if math.isnan(ratio.mean):
        return ""
    return f"{BOUNDS[ratio.bound]}×{ratio.mean:.2f}{ratio_ends(ratio)}"


def ratio_ends(ratio: Ratio) -> str:
    """Its interval in brackets, after a blank; "" if it is unknown."""
    ends = _ends((ratio.low or -math.inf, ratio.high), lambda end: _apart(end, 1, ""))
    return f" ({ends})" if ends else ""


def difference_cell(per_trial: pd.DataFrame, strategy: str, baseline: str, step: float = 0.0) -> Cell:
    """Difference to the baseline in percentage points, with its interval."""
    found = comparison.difference(per_trial, strategy, baseline, step)
    if not found.trials:
        return Cell(UNKNOWN)
    ends = _ends((100 * found.low, 100 * found.high), lambda end: _apart(end, 0, "+"))
    return Cell(f"{100 * found.mean:+.2f}", (ends,) if ends else (), _mark(found.clear, found.mean > 0))


def _needed_table(results: pd.DataFrame, ranked: list[str], baseline: str, step: float) -> Table:
    levels = annotations.levels_worth_showing(results)
    reached = [annotations.reached_at(results, level, step) for level in levels]
    rows = [Row(name, [needed_cell(each, name, baseline) for each in reached]) for name in ranked]
    note = (
        "Mean over trials of where the raw curve first reaches the accuracy (a straight line between two rounds), its "
        f"interval, and (×) how many times what {baseline} needs in the same trial. A trial that "
        "did not get there counts with all the annotations it had, which gives bounds only (>, ≤, ≥). Where a trial "
        "only just got there, the interval has no end on that side (from, up to)."
    )
    return Table("Annotations needed for a test accuracy of", note, [percent(level) for level in levels], rows)


def _differences_table(results: pd.DataFrame, ranked: list[str], baseline: str, step: float) -> Table:
    later = np.unique(results["annotations"])[1:]
    shown = later[np.unique(np.linspace(0, len(later) - 1, COUNTS_SHOWN).round().astype(int))] if len(later) else later
    at_count = [comparison.accuracies_at(results, count) for count in shown]
    others = [name for name in ranked if name != baseline]
    rows = [Row(name, [difference_cell(at, name, baseline, step) for at in at_count]) for name in others]
    note = (
        "In percentage points of test accuracy, paired: the mean over trials of the differences within a trial, "
        f"and its interval. {len(shown)} of {len(later) + 1} rounds are shown."
    )
    return Table(f"Difference to {baseline} after so many annotations", note, [f"{count:,}" for count in shown], rows)


def _curve_table(results: pd.DataFrame, ranked: list[str], baseline: str, step: float) -> Table:
    areas = comparison.areas(results)
    at_end = comparison.accuracies_at(results, results["annotations"].max())
    rows = [
        Row(
            name,
            [
                _accuracy_cell(at_end[name], step),
                _accuracy_cell(areas[name], step),
                difference_cell(areas, name, baseline, step) if name != baseline else Cell(UNKNOWN),
            ],
        )
        for name in ranked
    ]
    note = (
        "The area under the learning curve, divided by its width, is the mean accuracy on the way. Means over trials; "
        "the difference is paired, in percentage points."
    )
    columns = ["accuracy at the end", "area under the curve", f"its difference to {baseline}"]
    return Table("The end and the whole of the curve", note, columns, rows)


def _seconds_table(timings: pd.DataFrame, ranked: list[str]) -> Table:
    seconds = comparison.mean_seconds(timings)
    columns = ["training and test", "query round", "first query round", "last query round"]
    rows = [Row(name, [Cell(_seconds(float(value))) for value in seconds.loc[name].to_numpy()]) for name in ranked]
    note = (
        "Seconds, mean over trials, as the clock ran on this machine with the jobs named below (What was run), which "
        "slow each other down. Whatever else it did at the time is in them; another machine takes other times."
    )
    return Table("Time", note, columns, rows)


def _accuracy_cell(values: "pd.Series[float]", step: float) -> Cell:
    known: Values = np.asarray(values.dropna(), np.float64)
    if not len(known):
        return Cell(UNKNOWN)
    low, high = comparison.accuracy_interval(known, step)
    ends = _ends((100 * low, 100 * high), lambda end: f"{end:.2f}")
    return Cell(f"{100 * known.mean():.2f} %", (ends,) if ends else ())


def whole(number: float) -> str:
    """A count, in thousands."""
    return f"{number:,.0f}"


def _apart(end: float, equality: float, sign: str) -> str:
    """An end of an interval, with as many digits as say on which side of equality it is."""
    digits = (digits for digits in range(DIGITS, MOST_DIGITS) if round(end, digits) != equality)
    return f"{end:{sign}.{next(digits, DIGITS)}f}"


def _ends(interval: Interval, text: Callable[[float], str]) -> str:
    """An interval in words, "" if nothing is known of it; it may be bounded from one side only."""
    low, high = interval
    if math.isnan(low) or math.isnan(high) or (math.isinf(low) and math.isinf(high)):
        return ""
    if math.isinf(high):
        return f"from\xa0{text(low)}"
    return f"up{TO}{text(high)}" if math.isinf(low) else f"{text(low)}{TO}{text(high)}"


def _mark(clear: bool, better: bool) -> str:
    return ("better" if better else "worse") if clear else ""


def _seconds(value: float) -> str:
    if math.isnan(value):
        return UNKNOWN
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.3f}"
