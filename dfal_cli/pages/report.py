"""The report of a simulation: a self-contained HTML file that compares the strategies, with confidence intervals."""

import base64
import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from dfal_cli import __version__
from dfal_cli.errors import plural
from dfal_cli.pages.curves import curves_svg
from dfal_cli.pages.report_tables import (
    difference_cell,
    percent,
    ratio_ends,
    ratio_mark,
    report_tables,
    whole,
)
from dfal_cli.pages.template import write_page
from dfal_cli.pages.what_ran import explained
from dfal_cli.statistics import annotations, comparison
from dfal_cli.statistics.annotations import Needed, Reached
from dfal_cli.statistics.comparison import MeasuredOn
from dfal_cli.statistics.intervals import MIN_TRIALS_TO_RESAMPLE

ENOUGH_TRIALS = 6
"""With fewer trials, the page warns that intervals are wide."""

BEST_SHOWN = 3
"""Number of strategies in the summary; the tables show all."""


def write_report(
    path: Path,
    results: pd.DataFrame,
    timings: pd.DataFrame,
    settings: Mapping[str, str],
    measured_on: MeasuredOn | None = None,
    what_to_try: str = "",
) -> None:
    """Write the report; equal arguments give equal bytes.

    results, timings: columns of results.csv and timings.csv, converted to numbers. settings: name -> text.
    measured_on: the test images, if known. what_to_try: advice for the case that networks did not learn.
    """
    trials = results["trial"].nunique()
    step = measured_on.step if measured_on else 0.0
    picture = base64.b64encode(curves_svg(results, step)).decode()
    write_page(
        path, "report.html.jinja", "dfal simulate", version=__version__, facts=_facts(results),
        problem=_problem(results, measured_on, what_to_try), summary=_summary(results, step), caution=_caution(trials),
        explained=explained(comparison.strategies_of(results)), has_intervals=trials > 1,
        can_be_clear=trials >= MIN_TRIALS_TO_RESAMPLE, grid=_grid(measured_on),
        picture=f"data:image/svg+xml;base64,{picture}", tables=report_tables(results, timings, step), settings=settings,
    )  # fmt: skip


def _facts(results: pd.DataFrame) -> str:
    first, last = results["annotations"].min(), results["annotations"].max()
    span = f"from {first:,} to {last:,}" if first < last else f"of {last:,}"
    return (
        f"{_count(len(comparison.strategies_of(results)), 'strategy', 'strategies')}, "
        f"{_count(results['trial'].nunique(), 'trial', 'trials')}, "
        f"{_count(results['round'].nunique(), 'round', 'rounds')} {span} annotations"
    )


def _problem(results: pd.DataFrame, measured_on: MeasuredOn | None, what_to_try: str) -> str:
    """Return a sentence if networks did not learn, which makes the results meaningless; else ""."""
    who = who_did_not_learn(results, measured_on) if measured_on else ""
    return f"{who[0].upper()}{who[1:]}: {why_not_learnt(measured_on, what_to_try)}." if measured_on and who else ""


def who_did_not_learn(results: pd.DataFrame, measured_on: MeasuredOn) -> str:
    """Return the beginning of a sentence that names the strategies whose networks did not learn, or ""."""
    names = comparison.not_learnt(results, measured_on)
    if not names:
        return ""
    if len(names) == len(comparison.strategies_of(results)):
        return "none of these networks learnt"
    return f"the networks of {' and '.join(names)} did not learn"


def why_not_learnt(measured_on: MeasuredOn, what_to_try: str) -> str:
    """Return the end of that sentence: the evidence, and what to do."""
    share = percent(measured_on.largest / measured_on.images)
    return (
        f"their final accuracy on the {measured_on.images:,} test images is not better than always predicting the "
        f"largest class ({share}). Check the labels, then try {what_to_try} (--initial, --budget)"
    )


def _grid(measured_on: MeasuredOn | None) -> str:
    """Return a sentence on the resolution of accuracies."""
    if measured_on is None:
        return ""
    points = f"{100 * measured_on.step:.2g}"
    worth = f"{points} percentage {'point' if points == '1' else 'points'}"
    return (
        f"One of the {measured_on.images:,} test images is worth {worth}: an accuracy is known to "
        "within half of that at best, and a difference to within all of it. No interval is narrower."
    )


def _caution(trials: int) -> str:
    """Return a warning about the uncertainty of few trials."""
    if trials == 1:
        return "One trial gives no intervals: any difference may be due to chance."
    if trials < MIN_TRIALS_TO_RESAMPLE:
        return f"{trials} trials are too few for intervals of differences: any difference may be due to chance."
    if trials < ENOUGH_TRIALS:
        return f"The intervals of {trials} trials are wide, so only large differences are clear. Use more --trials."
    return ""


class Line(NamedTuple):
    """A line of the summary about a strategy."""

    text: str
    mark: str
    """"better" or "worse" if the strategy differs clearly from the baseline, else ""."""


class Summary(NamedTuple):
    """The comparison of the other strategies with the baseline."""

    start: str
    best: list[Line]
    rest: list[str]
    """Sentences about all strategies."""


def _summary(results: pd.DataFrame, step: float) -> Summary:
    """Compare by annotations needed for the highest accuracy that the baseline always reached, or by final accuracy."""
    baseline = comparison.baseline_of(results)
    for level in reversed(annotations.levels_worth_showing(results)):
        reached = annotations.reached_at(results, level, step)
        if reached.at[baseline].notna().all():
            start, lines = _summary_of_needed(reached, level, baseline)
            break
    else:
        start, lines = _summary_of_end(results, baseline, step)
    return Summary(start, lines[:BEST_SHOWN], _rest(lines, baseline, results["trial"].nunique()))


def _summary_of_needed(reached: Reached, level: float, baseline: str) -> tuple[str, list[Line]]:
    found = {name: annotations.needed(reached, name) for name in map(str, reached.at.columns)}
    lines = []
    for name in sorted(found.keys() - {baseline}, key=lambda name: (*_by_need(found[name]), name)):
        ratio = annotations.ratio(reached, name, baseline)
        bound = f"{ratio.bound} " if ratio.bound else ""
        times = "" if math.isnan(ratio.mean) else f", {bound}{ratio.mean:.2f} times as many{ratio_ends(ratio)}"
        lines.append(Line(f"{name}: {_labels(found[name])}{times}", ratio_mark(ratio)))
    needs = _labels(found[baseline])
    start = f"For {percent(level)} accuracy, {baseline} needed {needs} ({_trials(len(reached.at))})."
    return start, lines


def _by_need(needed: Needed) -> tuple[bool, float]:
    """Sort key: strategies that reached the level in all trials come first, as the other means are lower bounds."""
    return needed.reached < needed.trials, needed.mean


def _labels(needed: Needed) -> str:
    return f"{'more than ' if needed.reached < needed.trials else ''}{whole(needed.mean)} labels"


def _summary_of_end(results: pd.DataFrame, baseline: str, step: float) -> tuple[str, list[Line]]:
    last = results["annotations"].max()
    at_end = comparison.accuracies_at(results, last)
    lines = []
    for name in comparison.ranked_strategies(results):
        if name == baseline:
            continue
        cell = difference_cell(at_end, name, baseline, step)
        ends = "".join(f" ({detail})" for detail in cell.details)
        lines.append(Line(f"{name}: {percent(at_end[name].mean(), 2)}, {cell.text} points{ends}", cell.mark))
    accuracy = percent(at_end[baseline].mean(), 2)
    return f"With {last:,} labels, {baseline} has {accuracy} accuracy ({_trials(len(at_end))}).", lines


def _rest(lines: list[Line], baseline: str, trials: int) -> list[str]:
    """Return sentences with the number of strategies not listed, and of those that differ clearly from the baseline."""
    others = len(lines) - BEST_SHOWN
    sentences = [f"The tables show {_count(others, 'more strategy', 'more strategies')}."] if others > 0 else []
    if not lines or trials < MIN_TRIALS_TO_RESAMPLE:
        return sentences
    better, worse = (sum(line.mark == mark for line in lines) for mark in ("better", "worse"))
    if not better + worse:
        none = f"No strategy differs clearly from {baseline}: all intervals (in brackets) include equality."
        return [*sentences, none]
    bold = f"Bold lines differ clearly from {baseline}: their interval (in brackets) excludes equality"
    return [*sentences, f"{bold}. {better} of {len(lines)} clearly better, {worse} clearly worse."]


def _trials(number: int) -> str:
    return f"mean of {number} trials" if number > 1 else "one trial"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {plural(number, one, many)}"
