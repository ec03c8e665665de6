"""The report of a simulation: one self-contained HTML file that says which strategy was worth it, and how surely."""

import base64
import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from dfal_cli import __version__
from dfal_cli.pages.curves import curves_svg
from dfal_cli.pages.learnt import who_did_not_learn, why_not_learnt
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
"""Fewer have intervals so wide that the page says so."""

BEST_SHOWN = 3
"""Strategies in the summary: the tables have all."""


def write_report(
    path: Path,
    results: pd.DataFrame,
    timings: pd.DataFrame,
    settings: Mapping[str, str],
    measured_on: MeasuredOn | None = None,
    what_to_try: str = "",
) -> None:
    """Write the page.

    results, timings: columns of results.csv and timings.csv, numbers as numbers. settings are shown as they are given.
    measured_on: the test images, if they are known. what_to_try: where networks did not learn, in words.
    Equal arguments give equal bytes.
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
    """What makes all the rest meaningless; "" if nothing does."""
    who = who_did_not_learn(results, measured_on) if measured_on else ""
    return f"{who[0].upper()}{who[1:]}: {why_not_learnt(measured_on, what_to_try)}." if measured_on and who else ""


def _grid(measured_on: MeasuredOn | None) -> str:
    """How fine the test images can tell accuracies apart."""
    if measured_on is None:
        return ""
    points = f"{100 * measured_on.step:.2g}"
    return (
        f"One of the {measured_on.images:,} test images makes {points} points: an accuracy is known to half of that at "
        "best and a difference to all of it, so no interval is narrower."
    )


def _caution(trials: int) -> str:
    """What so few trials cannot tell."""
    if trials == 1:
        return "One trial: no interval can be given, and any difference may be chance."
    if trials < MIN_TRIALS_TO_RESAMPLE:
        return f"{trials} trials are too few for an interval of a difference: any difference may be chance."
    if trials < ENOUGH_TRIALS:
        return f"The intervals of {trials} trials are wide: only large differences show. More --trials narrow them."
    return ""


class Line(NamedTuple):
    """What the summary says of a strategy."""

    text: str
    mark: str


class Summary(NamedTuple):
    """How the others did beside the baseline, claiming no more than the intervals do."""

    start: str
    best: list[Line]
    rest: list[str]
    """Sentences on all of them."""


def _summary(results: pd.DataFrame, step: float) -> Summary:
    """By annotations needed for the highest accuracy that the baseline always reached, or by that at the end."""
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
    start = f"To {percent(level)} accuracy {baseline} took {_labels(found[baseline])} ({_trials(len(reached.at))})."
    return start, lines


def _by_need(needed: Needed) -> tuple[bool, float]:
    """Those that got there in all trials come first: of the others the mean is a lower bound."""
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
    return f"With {last:,} labels {baseline} has {accuracy} accuracy ({_trials(len(at_end))}).", lines


def _rest(lines: list[Line], baseline: str, trials: int) -> list[str]:
    """How many are told apart, and how many are not listed."""
    others = len(lines) - BEST_SHOWN
    said = [f"{_count(others, 'other is', 'others are')} in the tables."] if others > 0 else []
    if not lines or trials < MIN_TRIALS_TO_RESAMPLE:
        return said
    better, worse = (sum(line.mark == mark for line in lines) for mark in ("better", "worse"))
    if not better + worse:
        return [*said, f"None is told apart from {baseline}: the intervals, in brackets, include equality."]
    apart = f"In bold what the interval, in brackets, tells apart from {baseline}"
    return [*said, f"{apart}: {better} of {len(lines)} clearly better, {worse} clearly worse."]


def _trials(number: int) -> str:
    return f"mean of {number} trials" if number > 1 else "one trial"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
