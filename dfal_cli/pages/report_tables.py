"""The tables of a simulation's report: the numbers of `comparison`, formatted for people."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from dfal_cli.statistics import annotations, comparison
from dfal_cli.statistics.annotations import Needed, Ratio, Reached
from dfal_cli.statistics.intervals import Interval, Values

MAX_COUNTS_SHOWN = 6
"""Maximum number of annotation counts in the table of differences, limited by the width of a page."""

UNKNOWN = "–"
TO = "\xa0to\xa0"
"""Text between the ends of an interval, without line breaks."""

BOUNDS = {"": "", "at most": "≤\xa0", "at least": "≥\xa0"}

DIGITS = 2
MAX_DIGITS = 6
"""Maximum number of digits of an interval's end that would round to equality with two digits."""


class Cell(NamedTuple):
    """A number, and details shown below it."""

    text: str
    details: tuple[str, ...] = ()
    mark: str = ""
    """"better" or "worse" if the number differs clearly from the baseline's, else ""."""


class Row(NamedTuple):
    """A table row for a strategy."""

    strategy: str
    cells: list[Cell]


class Table(NamedTuple):
    """A table of the report."""

    title: str
    note: str
    columns: list[str]
    rows: list[Row]


def report_tables(results: pd.DataFrame, timings: pd.DataFrame, step: float) -> list[Table]:
    """Return all tables that are not empty, with strategies by decreasing final accuracy.

    step: the accuracy of one test image.
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
    """Return an accuracy in percent without trailing zeros: 0.925 is 92.5 %, and 0.95 is 95 %."""
    return f"{round(100 * share, digits):g} %"


def needed_cell(reached: Reached, strategy: str, baseline: str) -> Cell:
    """Return a cell of annotations needed: mean, interval or number of trials that reached the level, and ratio."""
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
    """Return "better" for a ratio that is clearly below 1, "worse" if clearly above, else ""."""
    return _mark(ratio.clear, ratio.mean < 1)


def needed_text(needed: Needed) -> str:
    """Return the annotations needed, or "> " and a lower bound."""
    return f"{'> ' if needed.reached < needed.trials else ''}{whole(needed.mean)}"


def ratio_text(ratio: Ratio) -> str:
    """Return a ratio with its interval, "" if it is unknown."""
    return "" if math.isnan(ratio.mean) else f"{ratio_mean(ratio)}{ratio_ends(ratio)}"


def ratio_mean(ratio: Ratio) -> str:
    """Return a ratio without its interval."""
    return f"{BOUNDS[ratio.bound]}×{ratio.mean:.2f}"


def ratio_ends(ratio: Ratio) -> str:
    """Return a ratio's interval in brackets, after a blank; "" if it is unknown."""
    ends = _ends((ratio.low or -math.inf, ratio.high), lambda end: _apart(end, 1, ""))
    return f" ({ends})" if ends else ""


def difference_cell(per_trial: pd.DataFrame, strategy: str, baseline: str, step: float = 0.0) -> Cell:
    """Return a cell with the difference from the baseline in percentage points, and its interval."""
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
        "Mean over trials of the number of annotations at which the raw curve first reaches the accuracy (interpolated "
        f"linearly between rounds), its interval, and (×) the ratio to {baseline} in the same trials. A trial that did "
        "not reach the accuracy counts with all its annotations, so that numbers are bounds (>, ≤, ≥). If a trial only "
        "just reached the accuracy, the interval is open on that side (from, up to)."
    )
    return Table("Annotations needed for a test accuracy of", note, [percent(level) for level in levels], rows)


def _differences_table(results: pd.DataFrame, ranked: list[str], baseline: str, step: float) -> Table:
    later = np.unique(results["annotations"])[1:]
    if len(later):
        shown = later[np.unique(np.linspace(0, len(later) - 1, MAX_COUNTS_SHOWN).round().astype(int))]
    else:
        shown = later
    at_count = [comparison.accuracies_at(results, count) for count in shown]
    others = [name for name in ranked if name != baseline]
    rows = [Row(name, [difference_cell(at, name, baseline, step) for at in at_count]) for name in others]
    note = (
        "Differences of test accuracy in percentage points, paired: the mean over trials of the differences within "
        f"each trial, and its interval. The table shows {len(shown)} of {len(later) + 1} rounds."
    )
    return Table(f"Difference from {baseline} by number of annotations", note, [f"{count:,}" for count in shown], rows)


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
        "The area under the learning curve is divided by the curve's width, which gives the mean accuracy along the "
        "curve. All numbers are means over trials; the difference is paired, in percentage points."
    )
    columns = ["final accuracy", "area under the curve", f"area: difference from {baseline}"]
    return Table("Final accuracy and area under the curve", note, columns, rows)


def _seconds_table(timings: pd.DataFrame, ranked: list[str]) -> Table:
    seconds = comparison.mean_seconds(timings)
    columns = ["training and test", "query round", "first query round", "last query round"]
    rows = [Row(name, [Cell(_seconds(float(value))) for value in seconds.loc[name].to_numpy()]) for name in ranked]
    note = (
        "Mean wall-clock seconds over trials on this machine, with the number of parallel jobs in the settings below. "
        "Parallel jobs and other programs slow each other down, and other machines take different times."
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
    """Return a count with thousands separators."""
    return f"{number:,.0f}"


def _apart(end: float, equality: float, sign: str) -> str:
    """Return an end of an interval with enough digits to show on which side of equality it is."""
    digits = (digits for digits in range(DIGITS, MAX_DIGITS) if round(end, digits) != equality)
    return f"{end:{sign}.{next(digits, DIGITS)}f}"


def _ends(interval: Interval, text: Callable[[float], str]) -> str:
    """Return an interval in words, which may be open on one side; "" if it is unknown."""
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
